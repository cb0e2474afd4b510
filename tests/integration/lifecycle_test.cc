// How a server begins and how it ends.
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "engine/checkpoint/store.h"
#include "tests/integration/load.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

class LifecycleTest : public testing::Test {
 protected:
  ScratchFolder folder_{"lifecycle"};
  const fs::path store_ = copy_toy_store(folder_.path());
};

// Streams that were begun before the signal: each has sent its first text, and so has been admitted.
class AdmittedStreams {
 public:
  AdmittedStreams(const LiveServer& server, int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, &server, i] { read(server, i); });
    EXPECT_TRUE(wait_until([&] { return num_begun_ == count; }));
  }
  ~AdmittedStreams() { join(); }
  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  int num_ended() const { return num_ended_; }
  const Strings& failures() const { return failures_; }  // after join()

 private:
  void read(const LiveServer& server, int number) {
    const auto asker = number % 2 == 0 ? server.rest() : server.grpc();
    bool begun = false;
    std::string text;
    try {
      const client::Answer answer =
          asker->ask_stream(long_question(static_cast<uint64_t>(number)), [&](std::string_view delta) {
            if (!std::exchange(begun, true)) ++num_begun_;
            text += delta;
            return true;
          });
      if (text != answer.answer) throw client::ClientError("DATA_LOSS", "a stream that is not its answer");
    } catch (const client::ClientError& error) {
      std::lock_guard lock(mutex_);
      failures_.push_back(error.code() + ": " + error.what());
    }
    ++num_ended_;
  }

  std::atomic<int> num_begun_{0}, num_ended_{0};
  std::mutex mutex_;
  Strings failures_;
  std::vector<std::thread> threads_;
};

TEST_F(LifecycleTest, SigtermFinishesWhatWasAdmittedAndRefusesTheRest) {
  LiveServer server(folder_.path(), store_);
  AdmittedStreams streams(server, 24);
  server.process().signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return !server.rest()->is_healthy(/*ready=*/true); }));
  EXPECT_LT(streams.num_ended(), 24) << "nothing was left to finish";
  int num_refused = 0;
  const httplib::UploadFormDataItems form = {{"image", scene_question().image, "", ""},
                                             {"question", "describe the picture", "", ""}};
  httplib::Client http("127.0.0.1", server.http_port());
  do {
    const httplib::Result response = http.Post("/v1/answer", form);
    if (response) {
      EXPECT_EQ(response->status, 503) << response->body;
      EXPECT_TRUE(response->has_header("Retry-After"));
    }
    try {
      server.grpc()->ask(scene_question(2));
      ADD_FAILURE() << "a drained server took a new request";
    } catch (const client::ClientError& error) {
      EXPECT_EQ(error.code(), "UNAVAILABLE") << error.what();
    }
  } while (++num_refused < 3 && server.process().running());
  EXPECT_EQ(server.process().wait(), 0) << server.log();
  streams.join();
  EXPECT_EQ(streams.failures(), Strings{});
}

TEST_F(LifecycleTest, ASecondSigtermEndsItAtOnce) {
  LiveServer server(folder_.path(), store_);
  AdmittedStreams streams(server, 24);
  server.process().signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return !server.rest()->is_healthy(/*ready=*/true); }));
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(), 128 + SIGTERM);
  streams.join();
}

// Strict capacity drops tokens: nearly all of the trainer's answers are enough there.
TEST_F(LifecycleTest, TheBundledModelIsServedWithStrictCapacity) {
  LiveServer server(folder_.path(), fs::path(test::source_dir()) / "models/demo", {"--capacity-mode", "strict"});
  EXPECT_EQ(server.version(), 1);
}

// The client's settings: a flag counts more than the environment, and that more than the file.
TEST_F(LifecycleTest, TheClientTakesTheEnvironmentBeforeItsFile) {
  LiveServer server(folder_.path(), store_);
  const fs::path file = folder_.path() / "client.toml";
  write_file(file, "server = \"http://127.0.0.1:1\"\nretries = 0\n");
  const std::string url = "http://127.0.0.1:" + std::to_string(server.http_port());
  const auto status_of = [&](const Strings& before, const Strings& more) {
    Strings command = before;
    command.insert(command.end(), {binary("sparsefusion"), "--config", file.string()});
    command.insert(command.end(), more.begin(), more.end());
    command.push_back("health");
    return Process(command, folder_.path() / "client").wait();
  };
  EXPECT_NE(status_of({}, {}), 0) << "the file names no server";
  EXPECT_EQ(status_of({"/usr/bin/env", "SPARSEFUSION_SERVER=" + url}, {}), 0);
  EXPECT_EQ(status_of({"/usr/bin/env", "SPARSEFUSION_SERVER=http://127.0.0.1:1"}, {"--server", url}), 0);
}

TEST_F(LifecycleTest, AServerOnTheCommandLineBeatsAVariableOfAnotherTransport) {
  LiveServer server(folder_.path(), store_);
  const std::string image = test::source_dir() + "/examples/scene.png";
  Process client({"/usr/bin/env", "SPARSEFUSION_GRPC=127.0.0.1:1", binary("sparsefusion"), "ask", image, "what?",
                  "--max-tokens", "2", "--server", "http://127.0.0.1:" + std::to_string(server.http_port())},
                 folder_.path() / "client");
  EXPECT_EQ(client.wait(), 0) << client.error_output();
}

TEST_F(LifecycleTest, AnEmptyStoreIsBootstrappedAndNothingWorseIsPublished) {
  const fs::path empty = folder_.path() / "empty";
  fs::create_directories(empty);
  LiveServer server(folder_.path(), empty, {"--seed-model", (store_ / "1").string()});
  EXPECT_EQ(server.version(), 1);
  Load load(server, 4);
  ASSERT_EQ(train_on(empty, {.steps = 12, .publish = "better"}, folder_.path()), 0)
      << read_file(folder_.path() / "train.err", 1 << 20);
  const int64_t last = list_versions(empty).back().number;
  EXPECT_TRUE(wait_until([&] { return server.version() == last; })) << server.log();
  load.stop();
  EXPECT_EQ(load.failures(), Strings{});
  double best = 0;
  for (const StoreVersion& version : list_versions(empty)) {
    const double score =
        nlohmann::json::parse(read_file(version.path / "manifest.json", 1 << 20)).at("scores").at("score");
    EXPECT_GE(score, best) << "version " << version.number;
    best = score;
  }
}

TEST_F(LifecycleTest, AStoreWithoutAVersionIsWaitedFor) {
  const fs::path empty = folder_.path() / "empty";
  fs::create_directories(empty);
  LiveServer server(folder_.path(), empty, {"--seed-model", ""});
  EXPECT_FALSE(server.rest()->is_healthy(/*ready=*/true));
  EXPECT_TRUE(server.rest()->is_healthy(/*ready=*/false));
  try {
    server.rest()->ask(scene_question());
    ADD_FAILURE() << "answered without a model";
  } catch (const client::ClientError& error) {
    EXPECT_EQ(error.http_status(), 503) << error.what();
  }
  fs::copy(store_ / "1", empty / ".1.tmp", fs::copy_options::recursive);
  fs::rename(empty / ".1.tmp", empty / "1");
  EXPECT_TRUE(wait_until([&] { return server.rest()->is_healthy(/*ready=*/true); })) << server.log();
  EXPECT_EQ(server.grpc()->ask(scene_question(2)).model_version, 1);
}

}  // namespace
}  // namespace sf::test
