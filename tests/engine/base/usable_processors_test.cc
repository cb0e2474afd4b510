#include "engine/base/usable_processors.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <fstream>
#include <string>
#include <thread>

namespace sf {
namespace {

namespace fs = std::filesystem;

class UsableProcessorsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "sf_processors_XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  double quota() const { return processor_quota(root_); }

  fs::path root_;
};

TEST_F(UsableProcessorsTest, WithoutGroupsThereIsNoQuota) {
  EXPECT_EQ(quota(), 0);
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
}

TEST_F(UsableProcessorsTest, TheTightestOfNestedGroupsCounts) {
  write("proc/self/cgroup", "0::/a/b/c\n");
  write("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(quota(), 4);
  write("sys/fs/cgroup/a/cpu.max", "75000 50000\n");
  EXPECT_EQ(quota(), 1.5);
  write("sys/fs/cgroup/a/b/c/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 1.5) << "a group cannot have more than those around it";
}

TEST_F(UsableProcessorsTest, AContainerSeesItsGroupAsTheRoot) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 0.5);
  EXPECT_EQ(usable_processors(root_), 1) << "never none";
}

TEST_F(UsableProcessorsTest, TheFirstVersionOfGroupsCountsToo) {
  write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/y\n0::/\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0);
  write("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 2.5);
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");  // a container without a name space of its own
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1);
  EXPECT_EQ(usable_processors(root_), 1);
}

TEST_F(UsableProcessorsTest, NonsenseLimitsNothing) {
  write("proc/self/cgroup", "nonsense\n0::\n::\n0:\n:cpu:\n9:cpu:/..\n0::/../..\n");
  for (const char* text : {"", "max", "-5 100000", "0 100000", "100000 0", "100000 -1", "x y", "nan 1", "\n"}) {
    write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(quota(), 0) << text;
  }
  write("sys/fs/cgroup/cpu.max", "1e300 1");
  EXPECT_GE(usable_processors(root_), 1);
}

TEST_F(UsableProcessorsTest, AMaskCounts) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(usable_processors(root_), CPU_COUNT(&before));
  // On a thread of its own: the mask is a thread's.
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(usable_processors(root_), 1);
  }).join();
}

TEST(UsableProcessorsHereTest, AFlagBeatsTheVariableAndTheVariableTheMachine) {
  ::unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(threads_or_default(0), usable_processors());
  ::setenv("OMP_NUM_THREADS", "7", 1);
  EXPECT_EQ(threads_or_default(0), 7);
  EXPECT_EQ(threads_or_default(3), 3);
  for (const char* text : {"", "0", "-4", "x"}) {
    ::setenv("OMP_NUM_THREADS", text, 1);
    EXPECT_EQ(threads_or_default(0), usable_processors()) << text;
  }
  ::unsetenv("OMP_NUM_THREADS");
}

TEST(UsableProcessorsHereTest, AreAtLeastOne) { EXPECT_GE(usable_processors(), 1); }

}  // namespace
}  // namespace sf
