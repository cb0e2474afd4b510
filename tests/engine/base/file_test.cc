#include "engine/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/machine_fault.h"
#include "engine/base/yield_to_requests.h"
#include "tests/support/no_free_files.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "sf_file_XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override { fs::remove_all(folder_); }
  static Code code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kOk;
  }
  fs::path folder_;
};

TEST_F(FileTest, RoundTripsAndReplaces) {
  const std::string bytes("a\0b\xff", 4);
  write_file(folder_ / "x", "something longer");
  write_file(folder_ / "x", bytes);
  EXPECT_EQ(read_file(folder_ / "x", 4), bytes);
  write_file(folder_ / "x", "");
  EXPECT_EQ(read_file(folder_ / "x", 0), "");
}

TEST_F(FileTest, ReadsAnySizeInPiecesAndStandsBackBetweenThem) {
  for (const size_t size : {(1u << 19) - 1, 1u << 19, (1u << 19) + 1, 1u << 20, 3u << 19}) {
    std::string bytes(size, 'x');
    bytes.back() = 'y';
    write_file(folder_ / "x", bytes);
    size_t pieces = 0;
    const YieldScope scope([&] { ++pieces; });
    EXPECT_EQ(read_file(folder_ / "x", static_cast<int64_t>(size)), bytes);
    EXPECT_EQ(pieces, size / (1 << 19) + 1) << "the last one looks for the end";
  }
}

TEST_F(FileTest, RefusesWhatItShouldNotRead) {
  write_file(folder_ / "x", "12345");
  fs::create_symlink("x", folder_ / "link");
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { read_file(folder_ / "x", 4); }), Code::kDataLoss);
  EXPECT_EQ(code_of([&] { read_file(folder_ / "none", 4); }), Code::kNotFound);
  EXPECT_EQ(code_of([&] { read_file(folder_ / "link", 9); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { read_file(folder_ / "pipe", 9); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { read_file(folder_, 1 << 20); }), Code::kInvalidArgument);
  EXPECT_EQ(code_of([&] { write_file(folder_ / "none" / "x", ""); }), Code::kNotFound);
}

TEST_F(FileTest, RunningOutOfDescriptorsIsNoVerdictOnAFile) {
  write_file(folder_ / "x", "12345");
  {
    const NoFreeFiles full;
    EXPECT_THROW(read_file(folder_ / "x", 9), MachineFault);
    EXPECT_THROW(read_pieces(folder_ / "x", 9, [](std::string_view) {}), MachineFault);
    EXPECT_THROW(RandomAccessFile(folder_ / "x"), MachineFault);
    EXPECT_THROW(write_file(folder_ / "y", ""), MachineFault);
    EXPECT_THROW(sync_directory(folder_), MachineFault);
  }
  EXPECT_EQ(read_file(folder_ / "x", 9), "12345");
}

TEST_F(FileTest, SyncsATree) {
  fs::create_directories(folder_ / "a" / "b");
  write_file(folder_ / "a" / "b" / "x", "1");
  fs::create_symlink("nowhere", folder_ / "a" / "dangling");
  EXPECT_NO_THROW(sync_tree(folder_));
  EXPECT_EQ(code_of([&] { sync_directory(folder_ / "none"); }), Code::kNotFound);
}

TEST(FileDescriptorTest, MovesItsOwnership) {
  FileDescriptor a(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(a);
  FileDescriptor b(std::move(a));
  EXPECT_TRUE(b);
  EXPECT_FALSE(a);
  a = std::move(b);
  EXPECT_TRUE(a);
}

}  // namespace
}  // namespace sf
