#include "server/scheduler/admission_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/scheduler/drain_rate.h"
#include "server/scheduler/job.h"

namespace sf::server {
namespace {

TEST(AdmissionQueueTest, RefusesAboveTheNumberOfRequests) {
  AdmissionQueue queue({.max_requests = 2, .max_tokens = 1000});
  auto first = queue.reserve(1);
  auto second = queue.reserve(1);
  EXPECT_FALSE(queue.reserve(1).has_value());
  first.reset();
  EXPECT_TRUE(queue.reserve(1).has_value());
}

TEST(AdmissionQueueTest, RefusesAboveTheNumberOfTokens) {
  AdmissionQueue queue({.max_requests = 10, .max_tokens = 100});
  auto first = queue.reserve(60);
  EXPECT_FALSE(queue.reserve(41).has_value());
  EXPECT_TRUE(queue.reserve(40).has_value()) << "the limit is inclusive";
}

TEST(AdmissionQueueTest, ALargeRequestFitsAnEmptyQueue) {
  AdmissionQueue queue({.max_requests = 10, .max_tokens = 100});
  auto large = queue.reserve(5000);
  ASSERT_TRUE(large.has_value());
  EXPECT_FALSE(queue.reserve(1).has_value());
}

TEST(AdmissionQueueTest, TokensNearTheIntegerLimitDoNotWrapAround) {
  AdmissionQueue queue({.max_requests = 10, .max_tokens = 100});
  auto first = queue.reserve(2'000'000'000);
  EXPECT_FALSE(queue.reserve(2'000'000'000).has_value());
}

TEST(AdmissionQueueTest, AMovedTicketCountsOnce) {
  AdmissionQueue queue({.max_requests = 10, .max_tokens = 100});
  {
    auto ticket = queue.reserve(10);
    Ticket moved = std::move(*ticket);
    ticket.reset();
    EXPECT_EQ(queue.load().requests, 1);
    EXPECT_EQ(queue.load().tokens, 10);
  }
  EXPECT_EQ(queue.load().requests, 0);
  EXPECT_EQ(queue.load().tokens, 0);
}

TEST(AdmissionQueueTest, ATenantThatFloodsLeavesPlacesToTheOthers) {
  AdmissionQueue queue({.max_requests = 64, .max_tokens = 100'000});
  std::vector<Ticket> flood;
  while (auto ticket = queue.reserve(1, "flood")) flood.push_back(std::move(*ticket));
  EXPECT_EQ(flood.size(), 56u);
  auto calm = queue.reserve(1, "calm");
  EXPECT_TRUE(calm.has_value());
  EXPECT_FALSE(queue.reserve(1, "flood").has_value());
  flood.pop_back();
  calm.reset();
  EXPECT_TRUE(queue.reserve(1, "flood").has_value()) << "what is given back is the tenant's again";
}

TEST(AdmissionQueueTest, ATenantLeavesTokensToTheOthersToo) {
  AdmissionQueue queue({.max_requests = 1000, .max_tokens = 800});
  std::vector<Ticket> flood;
  while (auto ticket = queue.reserve(10, "flood")) flood.push_back(std::move(*ticket));
  EXPECT_EQ(queue.load().tokens, 700);
  EXPECT_TRUE(queue.reserve(100, "calm").has_value());
}

TEST(AdmissionQueueTest, WithoutKeysTheWholeQueueIsEverybodys) {
  AdmissionQueue queue({.max_requests = 64, .max_tokens = 100'000});
  std::vector<Ticket> all;
  while (auto ticket = queue.reserve(1)) all.push_back(std::move(*ticket));
  EXPECT_EQ(all.size(), 64u);
}

TEST(AdmissionQueueTest, WaitEndsForAWakeAndForAStop) {
  AdmissionQueue queue({});
  queue.wake();
  EXPECT_TRUE(queue.wait());
  queue.stop();
  EXPECT_FALSE(queue.wait());
  EXPECT_TRUE(queue.stopped());
}

TEST(DrainRateTest, SaysOneSecondBeforeAnythingWasMeasured) {
  DrainRate rate;
  EXPECT_EQ(rate.seconds_for(50, 100), 1);
}

TEST(DrainRateTest, DividesTheQueueByTheRate) {
  DrainRate rate;
  for (int i = 0; i < 20; ++i) rate.record(100 + i * 0.5);
  EXPECT_DOUBLE_EQ(rate.per_second(110), 2);
  EXPECT_EQ(rate.seconds_for(7, 110), 4);
  EXPECT_EQ(rate.seconds_for(0, 110), 1);
  EXPECT_EQ(rate.seconds_for(100000, 110), 60);
}

TEST(DrainRateTest, DoesNotTakeAYoungServerForASlowOne) {
  DrainRate rate;
  for (int i = 0; i < 80; ++i) rate.record(100 + i * 0.025);
  EXPECT_NEAR(rate.per_second(102), 40, 1);
  EXPECT_EQ(rate.seconds_for(64, 102), 2);
}

TEST(DrainRateTest, ForgetsWhatIsLongAgo) {
  DrainRate rate;
  rate.record(100);
  EXPECT_DOUBLE_EQ(rate.per_second(111), 0);
}

TEST(DrainRateTest, MeasuresRatesAboveItsMemory) {
  DrainRate rate;
  for (int i = 0; i < 5000; ++i) rate.record(100 + i * 0.001);
  EXPECT_NEAR(rate.per_second(105), 1000, 10);
}

}  // namespace
}  // namespace sf::server
