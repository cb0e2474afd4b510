#include "trainer/prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace sf {
namespace {

TEST(PrefetcherTest, KeepsTheOrderWithAnyNumberOfThreads) {
  for (int threads : {1, 4}) {
    Prefetcher<int64_t> batches([](int64_t i) { return i * i; }, 5, {.threads = threads, .depth = 3});
    for (int64_t i = 5; i < 60; ++i) EXPECT_EQ(batches.next(), i * i);
  }
}

TEST(PrefetcherTest, HandsOnWhatMakeThrows) {
  Prefetcher<int> batches([](int64_t i) -> int { return i < 1 ? 7 : throw std::runtime_error("broken"); }, 0,
                          {.threads = 1, .depth = 1});
  EXPECT_EQ(batches.next(), 7);
  EXPECT_THROW(batches.next(), std::runtime_error);
}

TEST(PrefetcherTest, StopsWhileFull) {
  std::atomic<int> made{0};
  {
    Prefetcher<int> batches([&](int64_t) { return ++made; }, 0, {.threads = 2, .depth = 2});
    batches.next();
  }
  EXPECT_LE(made, 1 + 2 + 2);
}

}  // namespace
}  // namespace sf
