#include "engine/base/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace sf {
namespace {

TEST(MutexTest, CountsWithoutLoss) {
  struct {
    Mutex mutex;
    int count SF_GUARDED_BY(mutex) = 0;
  } shared;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) {
        MutexLock lock(shared.mutex);
        ++shared.count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(shared.mutex);
  EXPECT_EQ(shared.count, 20'000);
}

TEST(CondVarTest, WakesTheWaiterAndKeepsTheLock) {
  Mutex mutex;
  CondVar changed;
  int stage = 0;
  std::thread other([&] {
    MutexLock lock(mutex);
    stage = 1;
    changed.notify_all();
    while (stage != 2) changed.wait(mutex);
    stage = 3;
    changed.notify_all();
  });
  {
    MutexLock lock(mutex);
    while (stage != 1) changed.wait(mutex);
    stage = 2;
    changed.notify_all();
    while (stage != 3) changed.wait(mutex);
    EXPECT_EQ(stage, 3);
  }
  other.join();
}

TEST(CondVarTest, TimesOut) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  EXPECT_FALSE(never.wait_until(mutex, std::chrono::steady_clock::now() - std::chrono::seconds(1)));
}

}  // namespace
}  // namespace sf
