#include "engine/base/yield_to_requests.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>

namespace sf {
namespace {

TEST(YieldToRequestsTest, DoesNothingWithoutAScope) { yield_to_requests(); }

TEST(YieldToRequestsTest, TheInnermostScopeCounts) {
  std::string calls;
  {
    const YieldScope outer([&] { calls += 'o'; });
    {
      const YieldScope inner([&] { calls += 'i'; });
      yield_to_requests();
    }
    yield_to_requests();
  }
  yield_to_requests();
  EXPECT_EQ(calls, "io");
}

TEST(YieldToRequestsTest, IsTheThreadsOwn) {
  int calls = 0;
  const YieldScope scope([&] { ++calls; });
  std::thread([] { yield_to_requests(); }).join();
  EXPECT_EQ(calls, 0);
}

TEST(YieldToRequestsTest, WhatThrowsEndsTheWork) {
  const YieldScope scope([] { throw std::runtime_error("not wanted any more"); });
  EXPECT_THROW(yield_to_requests(), std::runtime_error);
}

}  // namespace
}  // namespace sf
