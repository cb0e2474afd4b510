#include "engine/checkpoint/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/sha256.h"
#include "tests/engine/checkpoint/checkpoint_fixtures.h"
#include "tests/support/no_free_files.h"

namespace sf {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

class CheckpointReaderTest : public testing::Test {
 protected:
  Error error_of_open() {
    try {
      open_checkpoint(folder_.path());
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "opened";
    return Error(Code::kOk, "");
  }

  fixtures::TemporaryFolder folder_;
  Manifest manifest_ = fixtures::write_small_checkpoint(folder_.path());
};

TEST_F(CheckpointReaderTest, GivesTheBytesThatWereHashed) {
  const VerifiedCheckpoint checkpoint = open_checkpoint(folder_.path());
  EXPECT_EQ(checkpoint.manifest(), manifest_);
  EXPECT_EQ(checkpoint.digest(), sha256_hex(read_file(folder_.path() / kManifestName, 1 << 20)));
  EXPECT_EQ(checkpoint.file("tokenizer.model"), "pieces");
  EXPECT_FALSE(checkpoint.has_file("golden.json"));
  EXPECT_THROW(checkpoint.file("golden.json"), Error);
  // What happens on disk afterwards no longer matters.
  write_file(folder_.path() / "tokenizer.model", "PIECES");
  EXPECT_EQ(checkpoint.file("tokenizer.model"), "pieces");
}

TEST_F(CheckpointReaderTest, EveryFlippedBitOfEveryFileIsRefusedByName) {
  for (const auto& [name, file] : manifest_.files) {
    const std::string bytes = read_file(folder_.path() / name, 1 << 20);
    for (size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 40) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
      write_file(folder_.path() / name, flipped);
      const Error error = error_of_open();
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_EQ(error.field(), name);
      EXPECT_THAT(error.what(), StartsWith(name + ": sha256"));
    }
    write_file(folder_.path() / name, bytes);
  }
  EXPECT_NO_THROW(open_checkpoint(folder_.path()));
}

TEST_F(CheckpointReaderTest, TruncatedAndGrownFilesAreRefusedByName) {
  for (const auto& [name, file] : manifest_.files) {
    const std::string bytes = read_file(folder_.path() / name, 1 << 20);
    for (size_t length = 0; length < bytes.size(); length += 1 + bytes.size() / 20) {
      write_file(folder_.path() / name, std::string_view(bytes).substr(0, length));
      EXPECT_THAT(error_of_open().what(), StartsWith(name + ": truncated"));
    }
    write_file(folder_.path() / name, bytes + "x");
    EXPECT_EQ(error_of_open().field(), name);
    write_file(folder_.path() / name, bytes);
  }
}

TEST_F(CheckpointReaderTest, MissingFilesAreRefusedByName) {
  for (const auto& [name, file] : manifest_.files) {
    fs::rename(folder_.path() / name, folder_.path() / ".aside");
    const Error error = error_of_open();
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_EQ(error.what(), name + ": file is missing");
    fs::rename(folder_.path() / ".aside", folder_.path() / name);
  }
  fs::remove(folder_.path() / kManifestName);
  EXPECT_EQ(error_of_open().code(), Code::kNotFound);
}

TEST_F(CheckpointReaderTest, LinksFoldersAndPipesAreRefused) {
  const fs::path path = folder_.path() / "tokenizer.model";
  fs::rename(path, folder_.path() / ".real");
  fs::create_symlink(".real", path);
  EXPECT_THAT(error_of_open().what(), HasSubstr("symbolic link"));
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_EQ(error_of_open().code(), Code::kDataLoss);
  fs::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(error_of_open().what(), HasSubstr("no regular file"));
}

TEST_F(CheckpointReaderTest, UnnamedFilesAreIgnored) {
  write_file(folder_.path() / "notes.txt", "not in the manifest");
  EXPECT_FALSE(open_checkpoint(folder_.path()).has_file("notes.txt"));
}

TEST_F(CheckpointReaderTest, TrainingStateIsReadOnDemandAndVerified) {
  EXPECT_EQ(read_training_state(folder_.path(), manifest_, "state.safetensors"), "moments");
  write_file(folder_.path() / kTrainingStateFolder / "state.safetensors", "Moments");
  EXPECT_NO_THROW(open_checkpoint(folder_.path()));  // serving does not need it
  EXPECT_THROW(read_training_state(folder_.path(), manifest_, "state.safetensors"), Error);
  EXPECT_THROW(read_training_state(folder_.path(), manifest_, "other"), Error);
}

TEST_F(CheckpointReaderTest, RunningOutOfDescriptorsIsNoVerdictOnTheFiles) {
  {
    const NoFreeFiles full;
    EXPECT_THROW(open_checkpoint(folder_.path()), MachineFault);
    EXPECT_THROW(read_training_state(folder_.path(), manifest_, "state.safetensors"), MachineFault);
  }
  open_checkpoint(folder_.path());
}

}  // namespace
}  // namespace sf
