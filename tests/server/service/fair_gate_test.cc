#include "server/service/fair_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sf::server {
namespace {

using std::chrono::steady_clock;

GateWait no_wait(const std::string& tenant = "") { return {tenant, steady_clock::now(), nullptr}; }
GateWait patient(const std::string& tenant = "") {
  return {tenant, steady_clock::now() + std::chrono::minutes(1), nullptr};
}

// Enters on a thread of its own, notes its name when it is in, and leaves at once.
class Line {
 public:
  explicit Line(FairGate& gate) : gate_(gate) {}
  ~Line() {
    for (std::thread& thread : threads_) thread.join();
  }
  void join(const std::string& tenant, const std::string& name) {
    const int before = gate_.num_waiting();
    threads_.emplace_back([this, tenant, name] {
      const FairGate::Pass pass = gate_.enter(patient(tenant));
      MutexLock lock(mutex_);
      order_.push_back(name);
    });
    while (gate_.num_waiting() == before) std::this_thread::yield();
  }
  std::vector<std::string> order_of(size_t count) {
    while (true) {
      MutexLock lock(mutex_);
      if (order_.size() == count) return order_;
    }
  }

 private:
  FairGate& gate_;
  Mutex mutex_;
  std::vector<std::string> order_ SF_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

TEST(FairGateTest, LetsInAsManyAsItHasPlaces) {
  FairGate gate({.places = 2});
  auto first = std::make_unique<FairGate::Pass>(gate.enter(no_wait()));
  const FairGate::Pass second = gate.enter(no_wait());
  EXPECT_EQ(first->outcome(), GateOutcome::kEntered);
  EXPECT_EQ(second.outcome(), GateOutcome::kEntered);
  EXPECT_EQ(gate.enter(no_wait()).outcome(), GateOutcome::kLate);
  first.reset();
  EXPECT_EQ(gate.enter(no_wait()).outcome(), GateOutcome::kEntered);
  EXPECT_EQ(gate.num_waiting(), 0);
}

TEST(FairGateTest, TenantsTakeTurnsHoweverManyOneOfThemSends) {
  FairGate gate({.places = 1});
  auto held = std::make_unique<FairGate::Pass>(gate.enter(no_wait("a")));
  Line line(gate);
  for (const char* name : {"a1", "a2", "a3"}) line.join("a", name);
  for (const char* name : {"b1", "b2"}) line.join("b", name);
  held.reset();
  EXPECT_EQ(line.order_of(5), (std::vector<std::string>{"b1", "a1", "b2", "a2", "a3"}));
}

TEST(FairGateTest, ThePlaceGoesToTheTenantThatHoldsFewest) {
  FairGate gate({.places = 2});
  auto long_one = std::make_unique<FairGate::Pass>(gate.enter(no_wait("a")));
  auto short_one = std::make_unique<FairGate::Pass>(gate.enter(no_wait("b")));
  Line line(gate);
  line.join("a", "a");
  line.join("b", "b");
  short_one.reset();  // of the two that wait, a holds a place already
  EXPECT_EQ(line.order_of(2).front(), "b");
}

TEST(FairGateTest, WithoutKeysItIsTheOrderOfArrival) {
  FairGate gate({.places = 1});
  auto held = std::make_unique<FairGate::Pass>(gate.enter(no_wait()));
  Line line(gate);
  for (const char* name : {"1", "2", "3"}) line.join("", name);
  held.reset();
  EXPECT_EQ(line.order_of(3), (std::vector<std::string>{"1", "2", "3"}));
}

TEST(FairGateTest, OneThatLeavesIsNoLongerInLine) {
  FairGate gate({.places = 1});
  auto held = std::make_unique<FairGate::Pass>(gate.enter(no_wait("a")));
  GateWait wait = patient("a");
  wait.is_unwanted = [] { return true; };
  EXPECT_EQ(gate.enter(wait).outcome(), GateOutcome::kUnwanted);
  EXPECT_EQ(gate.enter(no_wait("b")).outcome(), GateOutcome::kLate);
  EXPECT_EQ(gate.num_waiting(), 0);
  held.reset();
  EXPECT_EQ(gate.enter(no_wait("b")).outcome(), GateOutcome::kEntered);
}

TEST(FairGateTest, OneEachTurnsAwayASecondOfTheSameTenant) {
  FairGate gate({.places = 1, .one_each = true});
  auto held = std::make_unique<FairGate::Pass>(gate.enter(patient("a")));
  EXPECT_EQ(gate.enter(patient("a")).outcome(), GateOutcome::kBusy);
  EXPECT_EQ(gate.enter(patient("")).outcome(), GateOutcome::kBusy);
  Line line(gate);
  line.join("b", "b");
  EXPECT_EQ(gate.enter(patient("b")).outcome(), GateOutcome::kBusy);
  held.reset();
  EXPECT_EQ(line.order_of(1).front(), "b");
}

TEST(FairGateTest, TheLineIsBoundedInAllAndForEach) {
  FairGate gate({.places = 1, .max_waiting = 2, .max_waiting_each = 1});
  auto held = std::make_unique<FairGate::Pass>(gate.enter(patient("a")));
  Line line(gate);
  line.join("a", "a");
  EXPECT_EQ(gate.enter(patient("a")).outcome(), GateOutcome::kBusy);
  line.join("b", "b");
  EXPECT_EQ(gate.enter(patient("c")).outcome(), GateOutcome::kBusy);
  held.reset();
}

TEST(FairGateTest, ManyThreadsNeverHoldMoreThanThePlaces) {
  FairGate gate({.places = 3});
  std::atomic<int> inside{0}, most{0}, entered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) {
        GateWait wait = patient(std::string(1, static_cast<char>('a' + (i + n) % 4)));
        if (n % 7 == 0) wait.deadline = steady_clock::now();
        const FairGate::Pass pass = gate.enter(wait);
        if (pass.outcome() != GateOutcome::kEntered) continue;
        const int now = ++inside;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        ++entered;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 3);
  EXPECT_GE(entered, 8 * 200 * 6 / 7);
  EXPECT_EQ(gate.num_waiting(), 0);
}

}  // namespace
}  // namespace sf::server
