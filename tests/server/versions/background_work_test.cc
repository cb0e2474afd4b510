#include "server/versions/background_work.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "engine/base/yield_to_requests.h"

namespace sf::server {
namespace {

int niceness() { return getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid))); }

TEST(LowPriorityTest, TheWorkIsNicerThanItsCaller) {
  const int own = niceness();
  ModelSlot slot;
  int seen = 0, of_a_child = 0;
  run_at_low_priority(kReloadNiceness, slot, [&] {
    seen = niceness();
    std::thread([&] { of_a_child = niceness(); }).join();
  });
  EXPECT_EQ(seen, std::max(own, 10));
  EXPECT_EQ(of_a_child, seen) << "why a scheduler must not be started there";
  EXPECT_EQ(niceness(), own);
}

TEST(LowPriorityTest, WhatItThrowsIsThrown) {
  ModelSlot slot;
  EXPECT_THROW(run_at_low_priority(kReloadNiceness, slot, [] { throw std::runtime_error("boom"); }),
               std::runtime_error);
}

TEST(LowPriorityTest, TheWorkYieldsWhereItCan) {
  ModelSlot slot;
  const YieldScope* inside = nullptr;
  run_at_low_priority(kReloadNiceness, slot, [&] {
    inside = this_threads_yield_scope;
    yield_to_requests();  // there are no requests: returns at once
  });
  EXPECT_NE(inside, nullptr);
  EXPECT_EQ(this_threads_yield_scope, nullptr);
}

}  // namespace
}  // namespace sf::server
