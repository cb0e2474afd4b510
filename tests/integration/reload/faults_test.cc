// What goes wrong while clients ask: updates that fail, publishers that die, versions that vanish, killed processes.
// SF_LONG_TESTS makes it more rounds.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/checkpoint/store.h"
#include "tests/integration/live_server.h"
#include "tests/integration/reload/demo_versions.h"
#include "tests/integration/reload/measured_load.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;
using Command = client::VersionCommand;

constexpr const char* kPlainAnswer = "circle";  // to scene_question(), as the bundled model knows it

int rounds(int in_ci, int in_the_long_form) { return std::getenv("SF_LONG_TESTS") ? in_the_long_form : in_ci; }

// Every stream that ended since the last look: what was wrong with it.
Strings failures(MeasuredLoad& load) {
  Strings failures;
  for (const StreamRecord& stream : load.take()) {
    if (!stream.failure.empty()) failures.push_back(stream.failure);
    if (stream.num_ends != 1 || stream.versions.size() != 1) failures.push_back("not one end or not one version");
  }
  return failures;
}

class ReloadFaultsTest : public testing::Test {
 protected:
  std::string answer(const LiveServer& server) { return server.grpc()->ask(scene_question()).answer; }
  client::ModelVersion row(const LiveServer& server, int64_t version) {
    for (const client::ModelVersion& row : server.rest()->versions()) {
      if (row.version == version) return row;
    }
    return {};
  }
  void expect_quarantined(const LiveServer& server, int64_t version, const std::string& reason) {
    EXPECT_TRUE(wait_until([&] { return row(server, version).state == "quarantined"; })) << version;
    EXPECT_EQ(row(server, version).reason, reason) << version;
    EXPECT_NE(row(server, version).message, "") << version;
  }

  ScratchFolder folder_{"reload_faults"};
  const DemoStore store_{folder_.path() / "store"};
};

TEST_F(ReloadFaultsTest, UpdatesThatFailAndARollbackUnderTrafficFailNobody) {
  LiveServer server(folder_.path(), store_.root());
  ASSERT_EQ(answer(server), kPlainAnswer);
  MeasuredLoad load(server.http_port(), {});
  const auto flip = [&](const fs::path& folder) {
    std::string bytes = store_.files(Demo::kPlain).at("model.safetensors");
    bytes[bytes.size() / 2] ^= 1;
    write_file(folder / "model.safetensors", bytes);
  };
  const auto ask_for_the_twin = [&](const fs::path& folder) {
    write_file(folder / "golden.json", store_.files(Demo::kSwapped).at("golden.json"));
  };
  store_.publish_damaged(2, Demo::kPlain, ask_for_the_twin);
  expect_quarantined(server, 2, "canary");
  store_.publish_damaged(3, Demo::kPlain, {}, flip);
  expect_quarantined(server, 3, "verify");
  store_.publish_damaged(4, Demo::kPlain, {}, {}, 0.5);
  expect_quarantined(server, 4, "score");
  EXPECT_EQ(server.version(), 1);
  store_.publish(5, Demo::kSwapped);
  ASSERT_TRUE(wait_until([&] { return server.version() == 5; })) << server.log();
  EXPECT_EQ(answer(server), swap_shapes(kPlainAnswer));
  EXPECT_EQ(server.admin()->tell(Command::kRollback, 0), 1);
  EXPECT_EQ(answer(server), kPlainAnswer);
  load.stop();
  EXPECT_EQ(failures(load), Strings{});
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"success\""), 3);
}

TEST_F(ReloadFaultsTest, PruningWhileTheServerLoadsBreaksNothing) {
  LiveServer server(folder_.path(), store_.root());
  MeasuredLoad load(server.http_port(), {});
  const int last = 1 + rounds(15, 100);
  for (int version = 2; version <= last; ++version) {
    store_.publish(version, version % 2 == 0 ? Demo::kSwapped : Demo::kPlain);
    // Now and then before the server has seen it, now and then amid its load.
    std::this_thread::sleep_for(std::chrono::milliseconds(40 * (version % 7)));
    prune_store(store_.root(), 1, {});
  }
  EXPECT_TRUE(wait_until([&] { return server.version() == last; })) << server.log();
  load.stop();
  EXPECT_EQ(failures(load), Strings{});
  EXPECT_EQ(server.metric("sparsefusion_model_reloads_total{result=\"failure\""), 0) << server.log();
}

// A publisher that knows no rename: it copies one file after the other to where the version will be, and is killed
// after the first `count`.
void copy_and_die(const fs::path& from, const fs::path& to, int count, const fs::path& log) {
  const std::string script =
      concat("mkdir -p '", to.string(), "'; n=0; for f in config.json model.safetensors ",
             "golden.json tokenizer.model preprocessor_config.json generation_config.json; do ", "[ $n -ge ", count,
             " ] && kill -9 $$; cp '", from.string(), "'/$f '", to.string(), "'/; n=$((n+1)); done; kill -9 $$");
  ASSERT_EQ(run({"/bin/sh", "-c", script}, log), 128 + SIGKILL);
}

TEST_F(ReloadFaultsTest, APublisherThatDiesBetweenFilesLeavesNothingThatIsMixed) {
  LiveServer server(folder_.path(), store_.root());
  MeasuredLoad load(server.http_port(), {.clients = 2});
  const fs::path plain = store_.root() / "1";
  for (int count = 0; count <= 6; count += 2) {
    // One that hides what it writes, as trainers do: nobody sees the rest of it, and the retry begins anew.
    const int64_t version = 2 + count;
    copy_and_die(plain, store_.root() / concat(".", version, ".tmp"), count, folder_.path() / "copy");
    store_.publish(version, Demo::kSwapped);
    ASSERT_TRUE(wait_until([&] { return server.version() == version; })) << server.log();
    EXPECT_EQ(answer(server), swap_shapes(kPlainAnswer));
    // One that writes in the open: without a manifest it is waited for, in plain sight.
    const fs::path open = store_.root() / std::to_string(version + 1);
    copy_and_die(plain, open, count, folder_.path() / "copy");
    EXPECT_TRUE(wait_until([&] { return row(server, version + 1).message == "waiting for manifest.json"; }));
    EXPECT_EQ(row(server, version + 1).state, "available");
    // Its retry puts another model's manifest over the first one's files: refused for the file that does not match.
    fs::copy(store_.root() / std::to_string(version) / "manifest.json", open / "manifest.json");
    expect_quarantined(server, version + 1, "verify");
    EXPECT_EQ(answer(server), swap_shapes(kPlainAnswer));
    // Whole, with the manifest last, it is served.
    fs::remove(open / "manifest.json");
    for (const auto& file : fs::directory_iterator(plain)) {
      if (file.path().filename() != "manifest.json")
        fs::copy(file.path(), open / file.path().filename(), fs::copy_options::overwrite_existing);
    }
    fs::copy(plain / "manifest.json", open / "manifest.json");
    ASSERT_TRUE(wait_until([&] { return server.version() == version + 1; })) << server.log();
    EXPECT_EQ(answer(server), kPlainAnswer);
  }
  load.stop();
  EXPECT_EQ(failures(load), Strings{});
}

TEST_F(ReloadFaultsTest, TornVersionsNeverReachALiveServer) {
  LiveServer server(folder_.path(), store_.root());
  MeasuredLoad load(server.http_port(), {.clients = 2});
  std::mt19937 random(5);
  int64_t version = 1;
  const auto tear = [&](const std::string& name, const std::function<std::string(std::string)>& change) {
    store_.publish_damaged(++version, Demo::kSwapped, {}, [&](const fs::path& folder) {
      write_file(folder / name, change(read_file(folder / name, 64 << 20)));
    });
    expect_quarantined(server, version, "verify");
  };
  for (int round = 0; round < rounds(1, 10); ++round) {
    for (const auto& [name, bytes] : store_.files(Demo::kSwapped)) {
      tear(name, [&](const std::string& whole) { return whole.substr(0, random() % whole.size()); });
      tear(name, [&](std::string whole) {
        whole[random() % whole.size()] ^= static_cast<char>(1 << random() % 8);
        return whole;
      });
      store_.publish_damaged(++version, Demo::kSwapped, {}, [&](const fs::path& folder) { fs::remove(folder / name); });
      expect_quarantined(server, version, "verify");
    }
    tear("manifest.json", [&](const std::string& whole) { return whole.substr(0, random() % whole.size()); });
  }
  EXPECT_EQ(answer(server), kPlainAnswer);
  EXPECT_EQ(server.version(), 1);
  load.stop();
  EXPECT_EQ(failures(load), Strings{});
  EXPECT_TRUE(server.process().running());
}

TEST_F(ReloadFaultsTest, AKilledServerServesAgainAtOnceAndKeepsThePin) {
  store_.publish(2, Demo::kSwapped);
  auto server = std::make_unique<LiveServer>(folder_.path(), store_.root());
  ASSERT_EQ(server->version(), 2);
  ASSERT_EQ(server->admin()->tell(Command::kPin, 1), 1);
  for (int round = 0; round < rounds(3, 20); ++round) {
    MeasuredLoad load(server->http_port(), {.clients = 4, .interval_s = 0});
    ASSERT_TRUE(wait_until([&] { return load.num_ended() > 4; }));
    server->process().signal(SIGKILL);
    EXPECT_EQ(server->process().wait(), 128 + SIGKILL);
    load.stop();
    server = std::make_unique<LiveServer>(folder_.path(), store_.root());  // throws where it does not start
    EXPECT_TRUE(server->rest()->is_healthy(/*ready=*/true));
    EXPECT_EQ(server->version(), 1);
    EXPECT_TRUE(row(*server, 1).pinned);
    EXPECT_EQ(answer(*server), kPlainAnswer);
  }
}

TEST(TrainerKillTest, AStoreIsSoundWheneverItsTrainerIsKilled) {
  ScratchFolder folder("trainer_kill");
  const fs::path store = copy_toy_store(folder.path());
  std::mt19937 random(3);
  int amid_publishing = 0;
  for (int round = 0; round < rounds(10, 50); ++round) {
    const std::vector<StoreVersion> before = list_versions(store);
    const int64_t next = before.back().number + 1 + round % 2;
    // The hidden folder may come and go between two looks.
    const auto began = [&] { return fs::exists(store / concat(".", next, ".tmp")) || next_version(store) > next; };
    Process trainer({binary("sparsefusion-train"),
                     "--out",
                     store.string(),
                     "--resume",
                     "--steps",
                     "100000",
                     "--evaluate-every",
                     "1",
                     "--publish",
                     "all",
                     "--keep",
                     "2",
                     "--batch-size",
                     "1",
                     "--evaluation-pictures",
                     "1",
                     "--threads",
                     "1",
                     "--learning-rate",
                     "1e-9"},
                    folder.path() / "train");
    // Two of three die with a version begun, the third at any moment of its life.
    if (round % 3 != 2) {
      while (!began() && trainer.running()) {  // a version is written within milliseconds: no pause between two looks
      }
      EXPECT_TRUE(trainer.running()) << trainer.error_output();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (round % 3 != 2 ? 4'000 : 1'000'000)));
    trainer.signal(SIGKILL);
    ASSERT_EQ(trainer.wait(), 128 + SIGKILL) << trainer.error_output();
    for (const auto& entry : fs::directory_iterator(store)) {
      if (entry.path().extension() == ".tmp") {
        ++amid_publishing;
        break;
      }
    }
    const std::vector<StoreVersion> after = list_versions(store);
    ASSERT_FALSE(after.empty());
    EXPECT_GE(after.back().number, before.back().number);
    for (const StoreVersion& version : after) {
      const VerifiedCheckpoint checkpoint = open_checkpoint(version.path);  // throws for what is torn
      for (const auto& [name, file] : checkpoint.manifest().training_state)
        read_training_state(version.path, checkpoint.manifest(), name);
    }
  }
  std::cout << amid_publishing << " kills left a version unfinished\n";
  EXPECT_GT(amid_publishing, 0) << "no kill came while a version was being written";
  const int64_t last = list_versions(store).back().number;
  const int64_t step = parse_manifest(read_file(list_versions(store).back().path / kManifestName, 1 << 20)).step;
  ASSERT_EQ(train_on(store, {.steps = static_cast<int>(step) + 2}, folder.path()), 0)
      << read_file(folder.path() / "train.err", 1 << 20);
  EXPECT_GT(list_versions(store).back().number, last);
  LiveServer server(folder.path(), store, {"--max-score-drop", "1"});
  EXPECT_EQ(server.version(), list_versions(store).back().number);
}

}  // namespace
}  // namespace sf::test
