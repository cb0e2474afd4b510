#include "server/versions/model_slot.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "server/versions/background_work.h"
#include "tests/server/versions/submit_question.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

class ModelSlotTest : public ::testing::Test {
 protected:
  ModelSlotTest() { deps_ = test::quiet_deps(clock_, metrics_, drain_rate_); }

  FakeEngine& publish(int64_t version) {
    auto engine = std::make_unique<FakeEngine>();
    FakeEngine& fake = *engine;
    slot_.publish(make_serving_version(version, std::move(engine), std::nullopt, nullptr, deps_));
    return fake;
  }
  static std::string read(EventQueue& stream, Code* code = nullptr) {
    std::string text;
    while (true) {
      const Event event = stream.next(true);
      text += event.text;
      if (!event.finished) continue;
      if (code != nullptr) *code = event.error ? event.error->code() : Code::kOk;
      return text;
    }
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps deps_;
  std::atomic<int> num_freed_{0};
  ModelSlot slot_{[this](const ServingVersion&) { ++num_freed_; }};
};

TEST_F(ModelSlotTest, IsEmptyAtFirst) {
  EXPECT_EQ(slot_.current(), nullptr);
  EXPECT_EQ(slot_.num_live(), 0);
}

TEST_F(ModelSlotTest, ARequestFinishesOnTheVersionItBeganOn) {
  FakeEngine& old_engine = publish(1);
  old_engine.script("q", {"old"});
  old_engine.hold_steps();
  auto stream = submit_question(slot_.current(), "q");
  old_engine.wait_until_blocked();
  publish(2);
  EXPECT_EQ(slot_.current()->version, 2);
  EXPECT_EQ(slot_.num_live(), 2) << "the old one still has a request";
  EXPECT_EQ(num_freed_, 0);
  old_engine.release_steps();
  EXPECT_EQ(read(*stream), "old");
  EXPECT_EQ(stream->model_version(), 1);
  slot_.wait_for_live(1);
  EXPECT_EQ(num_freed_, 1);
}

TEST_F(ModelSlotTest, AVersionLivesWhileARequestIsBeingPrepared) {
  publish(1);
  ServingVersionPtr taken = slot_.current();
  publish(2);
  auto stream = submit_question(taken, "hello");
  taken.reset();
  EXPECT_EQ(read(*stream), "hello");
  slot_.wait_for_live(1);
}

TEST_F(ModelSlotTest, ManySwapsFreeEverything) {
  for (int64_t version = 1; version <= 20; ++version) {
    publish(version);
    EXPECT_EQ(read(*submit_question(slot_.current(), "hi")), "hi");
  }
  slot_.wait_for_live(1);
  EXPECT_EQ(num_freed_, 19);
}

TEST_F(ModelSlotTest, HasRequestsFromTheirReservationToTheirEnd) {
  EXPECT_FALSE(slot_.has_requests());
  FakeEngine& engine = publish(1);
  EXPECT_FALSE(slot_.has_requests());
  {
    const std::optional<Ticket> ticket = slot_.current()->scheduler().reserve(1);
    EXPECT_TRUE(slot_.has_requests()) << "its image is being decoded";
  }
  EXPECT_FALSE(slot_.has_requests());
  engine.hold_steps();
  auto stream = submit_question(slot_.current(), "q");
  engine.wait_until_blocked();
  EXPECT_TRUE(slot_.has_requests()) << "it runs";
  publish(2);
  EXPECT_TRUE(slot_.has_requests()) << "on the version before";
  engine.release_steps();
  read(*stream);
  slot_.wait_for_live(1);
  EXPECT_FALSE(slot_.has_requests());
}

TEST_F(ModelSlotTest, WorkInTheBackgroundWaitsForAGapButNotForEver) {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  FakeEngine& engine = publish(1);
  BackgroundThrottle throttle(slot_);
  const auto seconds_of_a_wait = [&] {
    const steady_clock::time_point begin = steady_clock::now();
    throttle.wait();
    return std::chrono::duration<double>(steady_clock::now() - begin).count();
  };
  engine.hold_steps();
  auto stream = submit_question(slot_.current(), "q");
  engine.wait_until_blocked();
  EXPECT_GE(seconds_of_a_wait(), 0.25) << "a request that does not end";
  std::thread ends([&] {
    std::this_thread::sleep_for(milliseconds(10));
    engine.release_steps();
  });
  throttle.wait();  // until then
  ends.join();
  read(*stream);
  slot_.wait_for_live(1);
  while (slot_.has_requests()) std::this_thread::yield();
  EXPECT_LT(seconds_of_a_wait(), 0.25) << "no request waits";
}

TEST_F(ModelSlotTest, GoingDownEndsWhatStillRuns) {
  Code code = Code::kOk;
  std::shared_ptr<EventQueue> stream;
  {
    ModelSlot slot;
    auto engine = std::make_unique<FakeEngine>();
    FakeEngine& fake = *engine;
    slot.publish(make_serving_version(1, std::move(engine), std::nullopt, nullptr, deps_));
    fake.hold_steps();
    stream = submit_question(slot.current(), std::string(300, 'x'));
    fake.wait_until_blocked();
    fake.release_steps();
  }
  read(*stream, &code);
  EXPECT_TRUE(code == Code::kUnavailable || code == Code::kOk);
}

}  // namespace
}  // namespace sf::server
