// Every way in which the files of a version can be torn: none of them is ever served, and none ends the server. On
// small files of our own, and with SF_LONG_TESTS on those of the bundled model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "engine/base/file.h"
#include "engine/checkpoint/store.h"
#include "server/versions/checkpoint_source.h"
#include "server/versions/reloader.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/paths.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

namespace fs = std::filesystem;

constexpr int kBlockBytes = 4096;
constexpr int kBitFlips = 1000;
constexpr int64_t kMaxFileBytes = 64 << 20;

// A store whose version 1 serves, and a version 2 that a test damages.
class TornCheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "sf_torn_XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    deps_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    source_ = open_checkpoint_source(root_, [](const VerifiedCheckpoint& checkpoint) {
      return std::make_unique<FakeEngine>(FakeEngineOptions{.digest = checkpoint.digest()});
    });
    publish(1);
    reloader_ = std::make_unique<Reloader>(ReloaderOptions(), *source_, slot_, deps_,
                                           [this](const ReloadEvent& event) { events_.push_back(event); });
    ASSERT_TRUE(reloader_->poll_once());
    directory_ = publish(2);
    for (const auto& file : fs::directory_iterator(directory_)) {
      files_[file.path().filename().string()] = read_file(file.path(), kMaxFileBytes);
    }
    ASSERT_GE(files_.size(), 7u);
  }
  void TearDown() override {
    reloader_.reset();
    if (!root_.empty()) fs::remove_all(root_);
  }

  fs::path publish(int64_t version) {
    const fs::path directory = begin_version(root_, version);
    write_files(directory);
    write_checkpoint_manifest(directory, {});
    return publish_version(root_, version).path;
  }
  virtual void write_files(const fs::path& directory) {
    std::mt19937 random(7);
    std::string weights(6 * kBlockBytes + 123, '\0');
    for (char& byte : weights) byte = static_cast<char>(random());
    write_file(directory / "model.safetensors", weights);
    write_file(directory / "config.json", "{\"vision\":{}}");
    write_file(directory / "tokenizer.model", "tokens");
    write_file(directory / "preprocessor_config.json", "{}");
    write_file(directory / "generation_config.json", "{}");
    write_file(directory / "golden.json", "{\"format_version\":1,\"cases\":[]}\n");
    write_file(directory / "notes.txt", "");
  }

  // What becomes of version 2 with these bytes in one of its files.
  void expect_refused(const std::string& name, const std::string& bytes, const std::string& what) {
    write_file(directory_ / name, bytes);
    // Times of writing may be equal; the size is not always another one: so this is not left to the fingerprint.
    Reloader reloader({}, *source_, slot_, deps_, [this](const ReloadEvent& event) { events_.push_back(event); });
    events_.clear();
    EXPECT_FALSE(reloader.poll_once()) << name << ": " << what;
    ASSERT_EQ(events_.size(), 1u) << name << ": " << what;
    EXPECT_EQ(events_[0].reason, "verify") << name << ": " << what;
    EXPECT_FALSE(events_[0].message.empty());
    EXPECT_EQ(slot_.current()->version, 1) << name << ": " << what;
    write_file(directory_ / name, files_[name]);
  }

  void cut_at_every_block();
  void flip_a_thousand_bits();

  fs::path root_, directory_;
  std::map<std::string, std::string> files_;
  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  ModelSlot slot_;
  std::unique_ptr<VersionSource> source_;
  std::unique_ptr<Reloader> reloader_;
  std::vector<ReloadEvent> events_;
};

void TornCheckpointTest::cut_at_every_block() {
  for (const auto& [name, bytes] : files_) {
    if (bytes.empty()) continue;
    for (size_t size = 0; size < bytes.size(); size += kBlockBytes) {
      expect_refused(name, bytes.substr(0, size), concat("cut to ", size));
    }
    expect_refused(name, bytes.substr(0, bytes.size() - 1), "cut by one byte");
    expect_refused(name, bytes + '\0', "longer by one byte");
  }
}

void TornCheckpointTest::flip_a_thousand_bits() {
  std::mt19937 random(11);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : files_) {
    if (!bytes.empty()) names.push_back(name);
  }
  for (int flip = 0; flip < kBitFlips; ++flip) {
    const std::string& name = names[static_cast<size_t>(flip) % names.size()];
    std::string bytes = files_[name];
    const size_t bit = random() % (bytes.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    expect_refused(name, bytes, concat("bit ", bit));
  }
}

TEST_F(TornCheckpointTest, TruncatedAtEveryBlock) { cut_at_every_block(); }
TEST_F(TornCheckpointTest, OneBitFlippedAThousandTimes) { flip_a_thousand_bits(); }

class TornDemoTest : public TornCheckpointTest {
 protected:
  void SetUp() override {
    if (!std::getenv("SF_LONG_TESTS")) GTEST_SKIP() << "SF_LONG_TESTS is not set";
    TornCheckpointTest::SetUp();
  }
  void write_files(const fs::path& directory) override {
    for (const auto& file : fs::directory_iterator(fs::path(test::source_dir()) / "models/demo")) {
      const std::string name = file.path().filename().string();
      if (name != "manifest.json" && name != "README.md") fs::copy(file.path(), directory / name);
    }
    write_file(directory / "golden.json", "{\"format_version\":1,\"cases\":[]}\n");  // no model answers here
  }
};

TEST_F(TornDemoTest, TruncatedAtEveryBlock) { cut_at_every_block(); }
TEST_F(TornDemoTest, OneBitFlippedAThousandTimes) { flip_a_thousand_bits(); }

TEST_F(TornCheckpointTest, AMissingFile) {
  for (const auto& [name, bytes] : files_) {
    if (name == "manifest.json") continue;
    fs::remove(directory_ / name);
    Reloader reloader({}, *source_, slot_, deps_, [](const ReloadEvent&) {});
    EXPECT_FALSE(reloader.poll_once()) << name;
    ASSERT_EQ(reloader.quarantined().size(), 1u) << name;
    EXPECT_EQ(reloader.quarantined()[0].reason, "verify") << name;
    write_file(directory_ / name, bytes);
  }
}

TEST_F(TornCheckpointTest, AFolderWithoutAManifestIsWaitedForInPlainSight) {
  fs::remove(directory_ / "manifest.json");
  events_.clear();
  for (int poll = 0; poll < 3; ++poll) EXPECT_FALSE(reloader_->poll_once());
  EXPECT_EQ(slot_.current()->version, 1);
  ASSERT_EQ(events_.size(), 1u) << "said once";
  EXPECT_EQ(events_[0].version, 2);
  EXPECT_EQ(events_[0].result, "waiting");
  EXPECT_EQ(events_[0].message, "waiting for manifest.json");
  EXPECT_TRUE(reloader_->quarantined().empty());
  const std::vector<VersionStatus> list = reloader_->list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1].state, VersionState::kAvailable);
  EXPECT_EQ(list[1].message, "waiting for manifest.json");
  try {
    reloader_->load(2);
    ADD_FAILURE() << "loaded half a version";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition) << error.what();
  }

  write_file(directory_ / "manifest.json", files_["manifest.json"]);
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(slot_.current()->version, 2);
  EXPECT_EQ(reloader_->list()[1].message, "");
}

TEST_F(TornCheckpointTest, TheUndamagedOneIsServed) {
  EXPECT_TRUE(reloader_->poll_once());
  EXPECT_EQ(slot_.current()->version, 2);
}

}  // namespace
}  // namespace sf::server
