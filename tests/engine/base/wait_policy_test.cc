#include "engine/base/wait_policy.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace sf {
namespace {

class WaitPolicyTest : public testing::Test {
 protected:
  WaitPolicyTest() {
    for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) ::unsetenv(name);
  }
  ~WaitPolicyTest() override {
    for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) ::unsetenv(name);
  }
  void run() {
    wait_without_spinning(argv_, [this](const char* path, char* const argv[]) {
      ++num_starts_;
      path_ = path;
      argv_of_start_ = argv;
      const char* const policy = std::getenv("OMP_WAIT_POLICY");
      policy_ = policy == nullptr ? "" : policy;
      return -1;  // as where /proc is not mounted
    });
  }

  char program_[8] = "program", flag_[7] = "--help";
  char* argv_[3] = {program_, flag_, nullptr};
  int num_starts_ = 0;
  std::string path_, policy_;
  char* const* argv_of_start_ = nullptr;
};

TEST_F(WaitPolicyTest, TheProgramStartsAgainWithItsArgumentsAndThePolicy) {
  run();
  EXPECT_EQ(num_starts_, 1);
  EXPECT_EQ(path_, "/proc/self/exe");
  EXPECT_EQ(argv_of_start_, argv_);
  EXPECT_EQ(policy_, "PASSIVE");
}

TEST_F(WaitPolicyTest, ItStartsAgainOnceOnly) {
  run();
  run();  // what the program does after it was started again, and after it could not be
  EXPECT_EQ(num_starts_, 1);
}

TEST_F(WaitPolicyTest, WhatAnOperatorSetStays) {
  ::setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  run();
  EXPECT_EQ(num_starts_, 0);
  EXPECT_STREQ(std::getenv("OMP_WAIT_POLICY"), "ACTIVE");
  ::unsetenv("OMP_WAIT_POLICY");
  ::setenv("GOMP_SPINCOUNT", "1000", 1);
  run();
  EXPECT_EQ(num_starts_, 0);
  EXPECT_EQ(std::getenv("OMP_WAIT_POLICY"), nullptr);
}

}  // namespace
}  // namespace sf
