#include "engine/checkpoint/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/checkpoint/version_lock.h"
#include "tests/engine/checkpoint/checkpoint_fixtures.h"
#include "tests/support/no_free_files.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

std::vector<int64_t> numbers_in(const fs::path& root) {
  std::vector<int64_t> numbers;
  for (const StoreVersion& version : list_versions(root)) numbers.push_back(version.number);
  return numbers;
}

void publish_small(const fs::path& root, int64_t version) {
  fixtures::write_small_checkpoint(begin_version(root, version), version);
  publish_version(root, version);
}

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

class StoreTest : public testing::Test {
 protected:
  fixtures::TemporaryFolder folder_;
  fs::path root_ = folder_.path() / "store";
};

TEST_F(StoreTest, MissingAndEmptyStoresHaveNoVersions) {
  EXPECT_TRUE(list_versions(root_).empty());
  EXPECT_EQ(next_version(root_), 1);
  EXPECT_TRUE(prune_store(root_, 1, {}).empty());
}

TEST_F(StoreTest, NamesAreComparedAsNumbersAndForeignOnesIgnored) {
  for (const char* name : {"2", "0010", "9", "00009", "0", "000", "-1", "+3", "1e3", " 4", "5 ", "v6", ".7", ".8.tmp",
                           "lost+found", "99999999999999999999", "9223372036854775807"}) {
    fs::create_directories(root_ / name);
  }
  write_file(root_ / "11", "a file, no version");
  fs::create_directory_symlink("2", root_ / "12");
  EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{2, 9, 10, 9223372036854775807}));
  EXPECT_EQ(list_versions(root_)[1].path.filename(), "00009");  // the longer name of two
  EXPECT_EQ(list_versions(root_)[2].path.filename(), "0010");
}

TEST_F(StoreTest, PublishesWhatWasWritten) {
  publish_small(root_, 1);
  publish_small(root_, 12);
  EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{1, 12}));
  EXPECT_EQ(next_version(root_), 13);
  EXPECT_EQ(open_checkpoint(root_ / "12").manifest().step, 12);
  EXPECT_FALSE(fs::exists(root_ / ".12.tmp"));
}

TEST_F(StoreTest, PublishedVersionsAreNeverReplaced) {
  publish_small(root_, 3);
  fs::rename(root_ / "3", root_ / "0003");
  EXPECT_EQ(code_of([&] { begin_version(root_, 3); }), Code::kAlreadyExists);
  // Another trainer was faster between begin and publish.
  fixtures::write_small_checkpoint(begin_version(root_, 4), 40);
  fs::create_directory(root_ / "04");
  EXPECT_EQ(code_of([&] { publish_version(root_, 4); }), Code::kAlreadyExists);
  EXPECT_EQ(open_checkpoint(root_ / "0003").manifest().step, 3);
}

TEST_F(StoreTest, RefusesOddRequests) {
  EXPECT_EQ(code_of([&] { begin_version(root_, 0); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { publish_version(root_, 5); }), Code::kNotFound);
  write_file(begin_version(root_, 5) / "config.json", "{}");
  EXPECT_EQ(code_of([&] { publish_version(root_, 5); }), Code::kFailedPrecondition);
  EXPECT_EQ(code_of([&] { prune_store(root_, 0, {}); }), Code::kInvalidArgument);
}

// A trainer that is killed leaves one of these states; no reader sees half a version, and the next run goes on.
TEST_F(StoreTest, KilledBetweenAnyTwoStepsOfPublishing) {
  publish_small(root_, 1);
  const std::vector<std::function<void(const fs::path&)>> states = {
      [](const fs::path&) {},
      [](const fs::path& directory) { write_file(directory / "model.safetensors", "half"); },
      [](const fs::path& directory) {
        fixtures::write_small_checkpoint(directory);
        fs::remove(directory / kManifestName);
      },
      [](const fs::path& directory) {
        fixtures::write_small_checkpoint(directory);
        write_file(directory / kManifestName, "{\"format_ver");
      },
      [](const fs::path& directory) { fixtures::write_small_checkpoint(directory); },  // all but the rename
  };
  for (const auto& leave : states) {
    leave(begin_version(root_, 2));
    EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{1}));
    EXPECT_EQ(next_version(root_), 2);
  }
  publish_small(root_, 2);
  EXPECT_EQ(open_checkpoint(root_ / "2").manifest().step, 2);
}

TEST_F(StoreTest, PrunesOldVersionsAndKeepsThoseInUse) {
  for (int64_t version = 1; version <= 6; ++version) publish_small(root_, version);
  EXPECT_EQ(prune_store(root_, 2, {3}), (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{3, 5, 6}));
  EXPECT_EQ(prune_store(root_, 9, {}), (std::vector<int64_t>{}));
}

TEST_F(StoreTest, InterruptedPruneIsFinishedByTheNext) {
  publish_small(root_, 1);
  publish_small(root_, 2);
  fs::rename(root_ / "1", root_ / ".1.pruned");
  EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{2}));
  prune_store(root_, 1, {});
  EXPECT_FALSE(fs::exists(root_ / ".1.pruned"));
}

TEST_F(StoreTest, HeldVersionsAreNotPruned) {
  publish_small(root_, 1);
  publish_small(root_, 2);
  {
    const VersionLock first = VersionLock::hold(root_ / "1");
    const VersionLock second = VersionLock::hold(root_ / "1");  // two servers may share a store
    EXPECT_TRUE(prune_store(root_, 1, {}).empty());
    EXPECT_NO_THROW(open_checkpoint(root_ / "1"));
  }
  EXPECT_EQ(prune_store(root_, 1, {}), (std::vector<int64_t>{1}));
  EXPECT_EQ(code_of([&] { VersionLock::hold(root_ / "1"); }), Code::kNotFound);
}

TEST_F(StoreTest, LockOfAKilledServerIsGone) {
  publish_small(root_, 1);
  publish_small(root_, 2);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t server = fork();
  if (server == 0) {
    const VersionLock lock = VersionLock::hold(root_ / "1");
    if (write(ready[1], "1", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(prune_store(root_, 1, {}).empty());
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  EXPECT_EQ(prune_store(root_, 1, {}), (std::vector<int64_t>{1}));
  close(ready[0]);
  close(ready[1]);
}

TEST_F(StoreTest, BootstrapsOnlyAnEmptyStore) {
  const fs::path bundled = folder_.path() / "bundled";
  fs::create_directory(bundled);
  fixtures::write_small_checkpoint(bundled, 99);
  EXPECT_TRUE(bootstrap_store(root_, bundled));
  EXPECT_EQ(open_checkpoint(root_ / "1").digest(), open_checkpoint(bundled).digest());
  EXPECT_EQ(read_training_state(root_ / "1", open_checkpoint(root_ / "1").manifest(), "state.safetensors"), "moments");
  EXPECT_FALSE(bootstrap_store(root_, bundled));
  EXPECT_EQ(numbers_in(root_), (std::vector<int64_t>{1}));
}

TEST_F(StoreTest, TwoProcessesBootstrapOnce) {
  const fs::path bundled = folder_.path() / "bundled";
  fs::create_directory(bundled);
  fixtures::write_small_checkpoint(bundled, 99);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(code_of([&] { _exit(bootstrap_store(root_, bundled) ? 10 : 20); }) == Code::kOk ? 0 : 30);
    children.push_back(child);
  }
  int seeded = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 20) << WEXITSTATUS(status);
    seeded += WEXITSTATUS(status) == 10;
  }
  EXPECT_EQ(seeded, 1);
  EXPECT_NO_THROW(open_checkpoint(root_ / "1"));
}

TEST_F(StoreTest, ABrokenModelLeavesTheStoreEmpty) {
  const fs::path bundled = folder_.path() / "bundled";
  fs::create_directory(bundled);
  fixtures::write_small_checkpoint(bundled);
  write_file(bundled / "tokenizer.model", "PIECES");
  EXPECT_EQ(code_of([&] { bootstrap_store(root_, bundled); }), Code::kDataLoss);
  EXPECT_TRUE(list_versions(root_).empty());
}

// Taken for empty, it would be seeded, numbered from 1 and pruned.
TEST(UnreadableStoreTest, IsNotTakenForAnEmptyOne) {
  const fixtures::TemporaryFolder folder;
  publish_small(folder.path(), 1);
  publish_small(folder.path(), 2);
  {
    const NoFreeFiles full;
    EXPECT_THROW(list_versions(folder.path()), MachineFault);
    EXPECT_THROW(next_version(folder.path()), MachineFault);
    EXPECT_THROW(begin_version(folder.path(), 3), MachineFault);
    EXPECT_THROW(prune_store(folder.path(), 1, {}), MachineFault);
    EXPECT_THROW(bootstrap_store(folder.path(), folder.path() / "1"), MachineFault);
    EXPECT_THROW(VersionLock::hold(folder.path() / "1"), MachineFault);
    EXPECT_EQ(code_of([&] { VersionLock::hold(folder.path() / "7"); }), Code::kResourceExhausted);
  }
  EXPECT_EQ(numbers_in(folder.path()), (std::vector<int64_t>{1, 2}));
  write_file(folder.path() / "file", "");
  EXPECT_EQ(code_of([&] { list_versions(folder.path() / "file"); }), Code::kNotFound);
}

}  // namespace
}  // namespace sf
