// Versions that come while clients ask: good ones are moved to without a failed request, broken ones are refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "tests/integration/load.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

// What the log says of the attempts to load this version.
std::vector<nlohmann::json> reloads_of(const LiveServer& server, int64_t version) {
  std::vector<nlohmann::json> found;
  std::istringstream lines(server.log());
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object() && entry.value("event", "") == "reload" && entry["version"] == version)
      found.push_back(entry);
  }
  return found;
}

class ReloadTest : public testing::Test {
 protected:
  // Effect: publishes a copy of version 1 that `damage` has been at.
  void publish(int64_t version, const std::function<void(const fs::path&)>& damage) {
    const fs::path hidden = store_ / concat(".", version, ".tmp");
    fs::copy(store_ / "1", hidden, fs::copy_options::recursive);
    damage(hidden);
    fs::rename(hidden, store_ / std::to_string(version));
  }

  ScratchFolder folder_{"reload"};
  const fs::path store_ = copy_toy_store(folder_.path());
};

TEST_F(ReloadTest, ThreeTrainedVersionsUnderLoadAndNothingFails) {
  // A toy's scores on two images are noise: none is refused for its score here.
  LiveServer server(folder_.path(), store_, {"--max-score-drop", "1"});
  Load load(server, 8);
  ASSERT_TRUE(wait_until([&] { return load.num_answered() > 8; }));
  // One version at a time: a server that finds two new ones loads the newer only.
  for (int64_t version = 2; version <= 4; ++version) {
    ASSERT_EQ(train_on(store_, {.steps = 4 + 2 * static_cast<int>(version)}, folder_.path()), 0)
        << read_file(folder_.path() / "train.err", 1 << 20);
    EXPECT_TRUE(wait_until([&] { return server.version() == version; })) << server.log();
    EXPECT_TRUE(wait_until([&] { return load.versions().contains(version); }));
  }
  load.stop();
  EXPECT_EQ(load.failures(), Strings{});
  EXPECT_EQ(load.versions(), (std::set<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(load.switched_under_streams(), (std::set<int64_t>{2, 3, 4})) << "a switch had no stream in flight";
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"success\""), 4);
  EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_model_versions_live") == 1; }));
  EXPECT_TRUE(wait_until([&] { return server.metric("sparsefusion_requests_inflight") == 0; }));
}

TEST_F(ReloadTest, ANewVersionKnowsNoImageOfTheOld) {
  LiveServer server(folder_.path(), store_);
  const auto asker = server.grpc();
  const client::Answer first = asker->ask(scene_question());
  EXPECT_EQ(first.cached_tokens, 0);
  EXPECT_GE(asker->ask(scene_question()).cached_tokens, first.image_tokens);
  publish(2, [](const fs::path&) {});  // equal bytes are a new version
  ASSERT_TRUE(wait_until([&] { return server.version() == 2; })) << server.log();
  const client::Answer again = asker->ask(scene_question());
  EXPECT_EQ(again.cached_tokens, 0);
  EXPECT_EQ(again.model_version, 2);
  EXPECT_EQ(again.answer, first.answer);
  EXPECT_EQ(again.assigned_tokens, first.assigned_tokens);
  EXPECT_EQ(again.overflow_tokens, first.overflow_tokens);
}

TEST_F(ReloadTest, BrokenVersionsAreRefusedByNameAndTheOldOneServesOn) {
  LiveServer server(folder_.path(), store_);
  Load load(server, 8);
  int64_t version = 1;
  const auto expect_refused = [&](const std::string& file, const std::string& reason,
                                  const std::function<void(const fs::path&)>& damage) {
    publish(++version, damage);
    ASSERT_TRUE(wait_until([&] { return !reloads_of(server, version).empty(); })) << reason << ": " << server.log();
    const nlohmann::json entry = reloads_of(server, version).front();
    EXPECT_EQ(entry["result"], "failure");
    EXPECT_EQ(entry["reason"], "verify");
    const std::string message = entry["message"];
    EXPECT_NE(message.find(file), std::string::npos) << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"failure\",reason=\"verify\""), version - 1);
  };
  const std::string weights = read_file(store_ / "1/model.safetensors", 64 << 20);
  expect_refused("model.safetensors", "sha256", [&](const fs::path& checkpoint) {
    std::string flipped = weights;
    flipped[flipped.size() / 2] ^= 1;
    write_file(checkpoint / "model.safetensors", flipped);
  });
  expect_refused("model.safetensors", "truncated", [&](const fs::path& checkpoint) {
    write_file(checkpoint / "model.safetensors", weights.substr(0, weights.size() - 5));
  });
  expect_refused("tokenizer.model", "missing",
                 [](const fs::path& checkpoint) { fs::remove(checkpoint / "tokenizer.model"); });
  expect_refused("manifest.json", "newer", [](const fs::path& checkpoint) {
    auto manifest = nlohmann::ordered_json::parse(read_file(checkpoint / "manifest.json", 1 << 20));
    manifest["format_version"] = 99;
    write_file(checkpoint / "manifest.json", manifest.dump(2) + "\n");
  });
  // Without a manifest, which is written last, it is no version yet.
  publish(++version, [](const fs::path& checkpoint) { fs::remove(checkpoint / "manifest.json"); });
  const int before = load.num_answered();
  EXPECT_TRUE(wait_until([&] { return load.num_answered() > before + 16; }));
  load.stop();
  EXPECT_EQ(load.failures(), Strings{});
  EXPECT_EQ(load.versions(), (std::set<int64_t>{1}));
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"failure\""), 4);
  EXPECT_EQ(server.version(), 1);

  publish(++version, [](const fs::path&) {});  // a sound one is still taken
  EXPECT_TRUE(wait_until([&] { return server.version() == version; })) << server.log();
}

}  // namespace
}  // namespace sf::test
