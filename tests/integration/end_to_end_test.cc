// Train, serve, ask, watch, reload, stop: the real programs, as processes.
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "engine/checkpoint/store.h"
#include "tests/integration/live_server.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

class EndToEndTest : public testing::Test {
 protected:
  EndToEndTest() {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("sparsefusion-") + info->name() + "-" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    store_ = copy_toy_store(folder_);
  }
  ~EndToEndTest() override { fs::remove_all(folder_); }

  // Effect: goes on training from the store's last version, publishing every two steps.
  int train_on(int steps, const std::string& publish = "all") {
    return run({binary("sparsefusion-train"), "--out", store_.string(), "--resume", "--steps", std::to_string(steps), "--batch-size", "4",
                "--evaluate-every", "2", "--evaluation-pictures", "2", "--publish", publish, "--threads", "1", "--keep", "2"},
               folder_ / "train");
  }

  fs::path folder_, store_;
};

TEST_F(EndToEndTest, EveryApiGivesTheSameAnswer) {
  LiveServer server(folder_, store_);
  const auto rest = server.rest(), grpc = server.grpc();
  const client::Answer expected = rest->ask(scene_question());
  EXPECT_EQ(expected.image_tokens, 36);
  EXPECT_EQ(expected.model_version, 1);
  EXPECT_GT(expected.assigned_tokens, 0u);
  auto same = [&](const client::Answer& answer) {
    EXPECT_EQ(answer.answer, expected.answer);
    EXPECT_EQ(answer.model_version, expected.model_version);
    EXPECT_EQ(answer.finish_reason, expected.finish_reason);
    EXPECT_EQ(answer.prompt_tokens, expected.prompt_tokens);
    EXPECT_EQ(answer.completion_tokens, expected.completion_tokens);
    EXPECT_EQ(answer.overflow_tokens, expected.overflow_tokens);
  };
  same(grpc->ask(scene_question()));
  for (const auto& asker : {rest.get(), grpc.get()}) {
    std::string text;
    const client::Answer streamed = asker->ask_stream(scene_question(), [&](std::string_view delta) {
      text += delta;
      return true;
    });
    EXPECT_EQ(text, expected.answer);
    EXPECT_EQ(streamed.completion_tokens, expected.completion_tokens);
  }
  httplib::Client http("127.0.0.1", server.http_port());
  const httplib::UploadFormDataItems form = {{"image", scene_question().image, "scene.png", "image/png"},
                                             {"question", scene_question().question, "", ""},
                                             {"max_tokens", "16", "", ""}};
  const auto response = http.Post("/v1/answer", form);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(nlohmann::json::parse(response->body).at("answer"), expected.answer);
  EXPECT_EQ(response->get_header_value("X-Model-Version"), "1");
  for (const char* modality : {"image", "text"}) {
    double tokens = 0;
    std::istringstream lines(server.metrics());
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("sparsefusion_moe_expert_tokens_total{", 0) != 0) continue;
      if (line.find(std::string("modality=\"") + modality + "\"") != std::string::npos) tokens += std::stod(line.substr(line.rfind(' ') + 1));
    }
    EXPECT_GT(tokens, 0) << modality;
  }
}

TEST_F(EndToEndTest, ThreeVersionsUnderLoadAndNothingFails) {
  LiveServer server(folder_, store_);
  Load load(server, 8);
  ASSERT_TRUE(wait_until([&] { return load.answered() > 8; }));
  ASSERT_EQ(train_on(14), 0) << read_file(folder_ / "train.err", 1 << 20);  // steps 8, 10, 12, 14: versions 2 to 5
  const int64_t last = list_versions(store_).back().number;
  EXPECT_EQ(last, 5);
  EXPECT_TRUE(wait_until([&] { return server.version() == last; })) << server.process().error_output();
  const int before = load.answered();
  EXPECT_TRUE(wait_until([&] { return load.answered() > before + 8; }));
  load.stop();
  EXPECT_EQ(load.failures(), std::vector<std::string>{});
  EXPECT_GE(load.versions().size(), 3u);
  EXPECT_TRUE(load.versions().contains(last));
  EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_model_versions_live") == 1; }));
  EXPECT_EQ(server.metric("sparsefusion_requests_inflight"), 0);
}

TEST_F(EndToEndTest, BrokenVersionsAreRefusedAndTheOldOneServesOn) {
  LiveServer server(folder_, store_);
  Load load(server, 4);
  const std::string weights = read_file(store_ / "1/model.safetensors", 64 << 20);
  int64_t version = 1;
  auto publish = [&](const std::function<void(const fs::path&)>& damage) {
    ++version;
    const fs::path hidden = store_ / ("." + std::to_string(version) + ".tmp");
    fs::copy(store_ / "1", hidden, fs::copy_options::recursive);
    damage(hidden);
    const double refused = server.metric("sparsefusion_model_reloads_total{result=\"failure\"");
    fs::rename(hidden, store_ / std::to_string(version));
    EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_model_reloads_total{result=\"failure\"") > refused; }))
        << "version " << version << ": " << server.process().error_output();
  };
  publish([&](const fs::path& folder) {
    std::string flipped = weights;
    flipped[flipped.size() / 2] ^= 1;
    write_file(folder / "model.safetensors", flipped);
  });
  publish([&](const fs::path& folder) { write_file(folder / "model.safetensors", weights.substr(0, weights.size() - 5)); });
  publish([&](const fs::path& folder) { fs::remove(folder / "tokenizer.model"); });
  // Without a manifest it is no version yet: somebody is still copying.
  fs::copy(store_ / "1", store_ / ".9.tmp", fs::copy_options::recursive);
  fs::remove(store_ / ".9.tmp/manifest.json");
  fs::rename(store_ / ".9.tmp", store_ / "9");
  const int before = load.answered();
  EXPECT_TRUE(wait_until([&] { return load.answered() > before + 20; }));
  EXPECT_EQ(server.version(), 1);
  load.stop();
  EXPECT_EQ(load.failures(), std::vector<std::string>{});
  const std::string log = server.process().error_output();
  EXPECT_NE(log.find("model.safetensors"), std::string::npos);
  EXPECT_NE(log.find("tokenizer.model"), std::string::npos);
}

TEST_F(EndToEndTest, SigtermFinishesWhatWasAdmitted) {
  LiveServer server(folder_, store_);
  std::atomic<int> answered{0}, admitted_lost{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&, i] {
      const auto asker = i % 2 == 0 ? server.rest() : server.grpc();
      try {
        asker->ask(scene_question(200));
        ++answered;
      } catch (const client::ClientError& error) {
        if (error.code() != "UNAVAILABLE") ++admitted_lost;
      }
    });
  }
  wait_until([&] { return server.metric("sparsefusion_requests_inflight") >= 1 || answered > 0; });
  server.process().signal(SIGTERM);
  for (std::thread& thread : clients) thread.join();
  EXPECT_EQ(server.process().wait(), 0) << server.process().error_output();
  EXPECT_EQ(admitted_lost, 0);
  EXPECT_GT(answered, 0);
}

TEST_F(EndToEndTest, AnEmptyStoreIsSeededAndNothingWorseIsPublished) {
  const fs::path seed = store_ / "1";
  const fs::path empty = folder_ / "empty";
  fs::create_directories(empty);
  LiveServer server(folder_ / "seeded", empty, {"--seed-model", seed.string()});
  EXPECT_EQ(server.version(), 1);
  store_ = empty;
  ASSERT_EQ(train_on(14, "better"), 0) << read_file(folder_ / "train.err", 1 << 20);
  double best = -1;
  for (const StoreVersion& version : list_versions(empty)) {
    const auto manifest = nlohmann::json::parse(read_file(version.path / "manifest.json", 1 << 20));
    const double score = manifest.at("scores").at("score");
    EXPECT_GE(score, best) << "version " << version.number;
    best = score;
  }
  EXPECT_EQ(server.rest()->ask(scene_question(4)).image_tokens, 36);
}

}  // namespace
}  // namespace sf::test
