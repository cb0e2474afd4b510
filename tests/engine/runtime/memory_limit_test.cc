#include "engine/runtime/memory_limit.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/tiny_model.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

class MemoryLimitTest : public testing::Test {
 protected:
  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((folder_.path() / file).parent_path());
    std::ofstream(folder_.path() / file) << text;
  }
  MemoryLimit limit() const { return memory_limit(folder_.path()); }

  test::TempFolder folder_;
};

constexpr const char* kMeminfo =
    "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\nHugePages_Total: 0\n"
    "SwapTotal: 100 kB\nSwapFree: 50 kB\n";

TEST_F(MemoryLimitTest, OfThisMachineIsKnown) {
  const MemoryLimit here = memory_limit();
  EXPECT_GT(here.free_bytes, 1 << 20);
  EXPECT_LE(here.free_bytes, here.total_bytes);
  EXPECT_LT(here.total_bytes, int64_t{1} << 50);
}

TEST_F(MemoryLimitTest, SwapCounts) {
  write("proc/meminfo", kMeminfo);
  EXPECT_EQ(limit().total_bytes, 1100 * 1024);
  EXPECT_EQ(limit().free_bytes, 650 * 1024);
}

TEST_F(MemoryLimitTest, TheTightestGroupCounts) {
  write("proc/meminfo", kMeminfo);
  write("proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
  write("sys/fs/cgroup/memory.max", "max\n");
  write("sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(limit().total_bytes, 1100 * 1024);
  write("sys/fs/cgroup/a/memory.max", "500000\n");
  EXPECT_EQ(limit().total_bytes, 500000);
  EXPECT_EQ(limit().free_bytes, 500000);
  write("sys/fs/cgroup/memory.max", "400000\n");
  EXPECT_EQ(limit().total_bytes, 400000);
}

TEST_F(MemoryLimitTest, TheFirstKindOfGroupsCountsToo) {
  write("proc/meminfo", kMeminfo);
  write("proc/self/cgroup", "4:memory:/docker/x\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "300000\n");
  EXPECT_EQ(limit().total_bytes, 300000);
}

TEST_F(MemoryLimitTest, WhatCannotBeReadLimitsNothing) {
  EXPECT_EQ(limit().total_bytes, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(limit().free_bytes, std::numeric_limits<int64_t>::max());
  write("proc/meminfo", "nonsense\n");
  write("sys/fs/cgroup/memory.max", "-5\n");
  write("proc/self/cgroup", "0::\n:memory:\n\n");
  EXPECT_EQ(limit().total_bytes, std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace sf
