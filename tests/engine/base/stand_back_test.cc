#include "engine/base/stand_back.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>

namespace sf {
namespace {

TEST(StandBackTest, DoesNothingWithoutAScope) { stand_back(); }

TEST(StandBackTest, TheInnermostScopeCounts) {
  std::string calls;
  {
    const StandBackScope outer([&] { calls += 'o'; });
    {
      const StandBackScope inner([&] { calls += 'i'; });
      stand_back();
    }
    stand_back();
  }
  stand_back();
  EXPECT_EQ(calls, "io");
}

TEST(StandBackTest, IsTheThreadsOwn) {
  int calls = 0;
  const StandBackScope scope([&] { ++calls; });
  std::thread([] { stand_back(); }).join();
  EXPECT_EQ(calls, 0);
}

TEST(StandBackTest, WhatThrowsEndsTheWork) {
  const StandBackScope scope([] { throw std::runtime_error("not wanted any more"); });
  EXPECT_THROW(stand_back(), std::runtime_error);
}

}  // namespace
}  // namespace sf
