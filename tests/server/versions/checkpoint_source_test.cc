#include "server/versions/checkpoint_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/store.h"
#include "engine/checkpoint/version_lock.h"
#include "server/versions/reloader.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/no_free_files.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sf_source_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  static void fill(const fs::path& directory, double accuracy) {
    std::ofstream(directory / "config.json") << "{}";
    std::ofstream(directory / "model.safetensors") << "weights of " << accuracy;
    Manifest manifest;
    manifest.scores["accuracy"] = accuracy;
    manifest.evaluation_id = std::string(64, 'e');
    write_checkpoint_manifest(directory, manifest);
  }
  fs::path publish(int64_t version, double accuracy = 0.9) {
    fill(begin_version(root_, version), accuracy);
    return publish_version(root_, version).path;
  }
  static std::unique_ptr<Engine> make_engine(const VerifiedCheckpoint& checkpoint) {
    if (!checkpoint.has_file("config.json")) throw Error(Code::kDataLoss, "config.json is missing");
    return std::make_unique<FakeEngine>(FakeEngineOptions{.digest = checkpoint.digest()});
  }

  fs::path root_;
};

TEST_F(CheckpointSourceTest, ListsTheVersionsOfAStore) {
  auto source = open_checkpoint_source(root_, make_engine);
  EXPECT_THAT(source->versions(), ElementsAre());
  publish(2);
  publish(10);
  fs::create_directory(root_ / ".11.tmp");
  fs::create_directory(root_ / "notes");
  EXPECT_THAT(source->versions(), ElementsAre(2, 10));
}

TEST_F(CheckpointSourceTest, LoadsWhatItVerified) {
  const fs::path directory = publish(3, 0.75);
  auto source = open_checkpoint_source(root_, make_engine);
  source->versions();
  auto candidate = source->open(3);
  EXPECT_EQ(candidate->score(), 0.75);
  EXPECT_EQ(candidate->evaluation_id(), std::string(64, 'e'));
  fs::remove_all(directory);  // what happens on disk now reaches no reader
  EXPECT_EQ(candidate->load()->info().digest.size(), 64u);
}

TEST_F(CheckpointSourceTest, ATornFileIsRefusedByNameAndARepairedOneIsTriedAgain) {
  const fs::path directory = publish(1);
  auto source = open_checkpoint_source(root_, make_engine);
  source->versions();
  fs::resize_file(directory / "model.safetensors", 3);
  const std::string torn = source->fingerprint(1);
  try {
    source->open(1);
    FAIL() << "a torn checkpoint was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors"));
  }
  fill(directory, 0.9);
  EXPECT_NE(source->fingerprint(1), torn);
  EXPECT_NO_THROW(source->open(1));
}

TEST_F(CheckpointSourceTest, AHeldVersionIsNotPruned) {
  publish(1);
  publish(2);
  publish(3);
  auto source = open_checkpoint_source(root_, make_engine);
  source->versions();
  auto hold = source->hold(1);
  EXPECT_THAT(prune_store(root_, 1, {}), ElementsAre(2));
  hold.reset();
  EXPECT_THAT(prune_store(root_, 1, {}), ElementsAre(1));
}

TEST_F(CheckpointSourceTest, AVersionThatIsGoneIsNotFound) {
  publish(1);
  auto source = open_checkpoint_source(root_, make_engine);
  source->versions();
  fs::remove_all(root_ / "1");
  EXPECT_EQ(source->fingerprint(1), "");
  for (const auto& use :
       {std::function<void()>([&] { source->hold(1); }), std::function<void()>([&] { source->open(1); })}) {
    try {
      use();
      FAIL() << "found what is gone";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kNotFound);
    }
  }
}

TEST_F(CheckpointSourceTest, OneDirectoryIsOneVersionNamedByItsFolder) {
  fs::create_directory(root_ / "0042");
  fill(root_ / "0042", 0.9);
  EXPECT_TRUE(is_checkpoint_directory(root_ / "0042"));
  EXPECT_FALSE(is_checkpoint_directory(root_));
  EXPECT_FALSE(is_checkpoint_directory(root_ / "nowhere"));
  EXPECT_THAT(open_checkpoint_source(root_ / "0042", make_engine)->versions(), ElementsAre(42));
  fs::rename(root_ / "0042", root_ / "demo");
  EXPECT_THAT(open_checkpoint_source(root_ / "demo/", make_engine)->versions(), ElementsAre(1));
}

TEST_F(CheckpointSourceTest, NamesThatAreNoNumbersAreNoVersions) {
  EXPECT_EQ(version_of_name("/models/7/"), 7);
  for (const char* name : {"demo", "7a", "-7", "0", "99999999999999999999", ".7.tmp", ""}) {
    EXPECT_FALSE(version_of_name(name).has_value()) << name;
  }
}

TEST_F(CheckpointSourceTest, OneNumberStandsForTheScores) {
  EXPECT_FALSE(headline_score({}).has_value());
  EXPECT_EQ(headline_score({{"accuracy", 0.5}, {"score", 0.25}}), 0.25);
  EXPECT_EQ(headline_score({{"accuracy", 0.5}, {"shape", 1.0}}), 0.5);
  EXPECT_EQ(headline_score({{"colour", 0.5}, {"shape", 1.0}}), 0.75);
}

TEST_F(CheckpointSourceTest, AReloaderWalksARealStore) {
  ManualClock clock;
  Metrics metrics({});
  DrainRate drain_rate;
  ServingDeps deps = test::quiet_deps(clock, metrics, drain_rate);
  ModelSlot slot;
  auto source = open_checkpoint_source(root_, make_engine);
  Reloader reloader({}, *source, slot, deps, [](const ReloadEvent&) {});
  publish(1);
  ASSERT_TRUE(reloader.poll_once());
  fs::remove(publish(2) / "config.json");
  EXPECT_FALSE(reloader.poll_once());
  EXPECT_EQ(slot.current()->version, 1);
  EXPECT_THAT(reloader.quarantined().at(0).message, HasSubstr("config.json"));
  publish(3);
  EXPECT_TRUE(reloader.poll_once());
  EXPECT_EQ(slot.current()->version, 3);
  slot.wait_for_live(1);
  EXPECT_THAT(prune_store(root_, 1, {}), ElementsAre(1, 2)) << "what is no longer served is no longer held";
}

TEST_F(CheckpointSourceTest, RunningOutOfDescriptorsSaysNothingAboutAVersion) {
  const fs::path directory = publish(1);
  auto source = open_checkpoint_source(root_, make_engine);
  source->versions();
  const std::string fingerprint = source->fingerprint(1);
  {
    const NoFreeFiles full;
    EXPECT_THROW(source->versions(), MachineFault);
    EXPECT_EQ(source->fingerprint(1), "") << "not another one: that would look like new files";
    EXPECT_EQ(source->facts(1), std::nullopt);
    EXPECT_FALSE(source->waiting(1));
    EXPECT_THROW(source->hold(1), MachineFault);
    EXPECT_THROW(source->open(1), MachineFault);
  }
  EXPECT_EQ(source->fingerprint(1), fingerprint);
  EXPECT_EQ(source->facts(1)->score, 0.9);
  EXPECT_EQ(source->facts(1)->evaluation_id, std::string(64, 'e'));
}

TEST_F(CheckpointSourceTest, AStoreThatIsGoneIsAnErrorAndAnEmptyOneIsNot) {
  publish(1);
  auto source = open_checkpoint_source(root_, make_engine);
  EXPECT_THAT(source->versions(), ElementsAre(1));
  const fs::path elsewhere = root_.string() + ".moved";
  fs::rename(root_, elsewhere);
  EXPECT_THROW(source->versions(), Error);
  fs::rename(elsewhere, root_);
  EXPECT_THAT(source->versions(), ElementsAre(1));
  fs::remove_all(root_ / "1");
  EXPECT_THAT(source->versions(), ElementsAre());
}

// The whole way, with a real errno: EMFILE while version 2 is read.
TEST_F(CheckpointSourceTest, AVersionThatMetAFullTableOfFilesIsServedASecondLater) {
  publish(1);
  bool full = false;
  auto source = open_checkpoint_source(root_, [&](const VerifiedCheckpoint& checkpoint) {
    if (full) {
      const NoFreeFiles none;
      read_file(root_ / "1" / "config.json", 100);  // an engine may read files too
    }
    return make_engine(checkpoint);
  });
  ManualClock clock;
  Metrics metrics({});
  DrainRate drain_rate;
  ServingDeps deps = test::quiet_deps(clock, metrics, drain_rate);
  ModelSlot slot;
  Reloader reloader({}, *source, slot, deps, [](const ReloadEvent&) {});
  EXPECT_TRUE(reloader.poll_once());
  publish(2);
  full = true;
  EXPECT_FALSE(reloader.poll_once());
  EXPECT_TRUE(reloader.quarantined().empty());
  EXPECT_EQ(reloader.list().at(1).reason, "machine_fault");
  EXPECT_THAT(reloader.list().at(1).message, HasSubstr("Too many open files"));
  full = false;
  clock.advance(1);
  EXPECT_TRUE(reloader.poll_once());
  EXPECT_EQ(slot.current()->version, 2);
}

}  // namespace
}  // namespace sf::server
