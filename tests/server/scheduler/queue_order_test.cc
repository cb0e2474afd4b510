#include "server/scheduler/queue_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace sf::server {
namespace {

using ::testing::ElementsAre;

WaitingView job(JobKey key, std::string_view tenant, double queued_s, Priority priority = Priority::kInteractive) {
  return {
      .key = key, .priority = priority, .tenant = tenant, .queued_s = queued_s, .deadline_s = 1e9, .prompt_tokens = 1};
}
RunningView held_by(std::string_view tenant) { return {.key = 99, .tenant = tenant, .deadline_s = 1e9}; }

std::vector<JobKey> order(const std::vector<WaitingView>& waiting, const std::vector<RunningView>& running = {}) {
  std::vector<const WaitingView*> pointers;
  for (const WaitingView& view : waiting) pointers.push_back(&view);
  std::vector<JobKey> keys;
  for (const WaitingView* view : order_queue(pointers, running, {.batch_patience_s = 5})) keys.push_back(view->key);
  return keys;
}

TEST(QueueOrderTest, WithoutKeysTheOldestGoesFirst) {
  EXPECT_THAT(order({job(1, "", 2), job(2, "", 1), job(3, "", 3)}), ElementsAre(2, 1, 3));
  EXPECT_THAT(order({job(1, "", 2), job(2, "", 1)}, {held_by(""), held_by("")}), ElementsAre(2, 1));
  EXPECT_THAT(order({}), ElementsAre());
}

TEST(QueueOrderTest, KeysTakeTurns) {
  EXPECT_THAT(order({job(1, "a", 1), job(2, "a", 2), job(3, "a", 3), job(4, "b", 4), job(5, "b", 5), job(6, "c", 6)}),
              ElementsAre(1, 4, 6, 2, 5, 3));
}

TEST(QueueOrderTest, WhoHoldsFewerSequencesGoesFirst) {
  EXPECT_THAT(order({job(1, "a", 1), job(2, "b", 9)}, {held_by("a"), held_by("a"), held_by("b")}), ElementsAre(2, 1));
}

TEST(QueueOrderTest, OfEqualsTheOneWhoseTurnIsLongestAgoGoesFirst) {
  WaitingView flood = job(1, "flood", 1), calm = job(2, "calm", 9);
  flood.last_admission = 7;
  EXPECT_THAT(order({flood, calm}), ElementsAre(2, 1));
  calm.last_admission = 8;
  EXPECT_THAT(order({flood, calm}), ElementsAre(1, 2));
}

TEST(QueueOrderTest, TurnsAreTakenWithinAPriority) {
  EXPECT_THAT(order({job(1, "b", 1, Priority::kBatch), job(2, "a", 2), job(3, "a", 3), job(4, "b", 4)}),
              ElementsAre(2, 4, 3, 1));
}

TEST(QueueOrderTest, ABatchJobLetsNobodyPassWhoCameMuchLater) {
  EXPECT_THAT(order({job(1, "", 0, Priority::kBatch), job(2, "", 4.9), job(3, "", 5)}), ElementsAre(2, 1, 3));
}

// The planner in a world of its own: two sequences at a time, each of four steps of 0.1 s; nothing but plan_step
// decides.
class World {
 public:
  void arrive(JobKey key, std::string_view tenant, Priority priority = Priority::kInteractive) {
    waiting_.push_back(job(key, tenant, now_s_, priority));
  }
  int num_waiting(std::string_view tenant, Priority priority = Priority::kInteractive) const {
    return static_cast<int>(std::count_if(waiting_.begin(), waiting_.end(), [&](const WaitingView& view) {
      return view.tenant == tenant && view.priority == priority;
    }));
  }
  void step() {
    PlannerInput input;
    input.waiting = waiting_;
    for (const Active& active : active_) {
      RunningView view = held_by(active.view.tenant);
      view.key = active.view.key;
      input.running.push_back(view);
    }
    input.free_pages = 1000;
    input.now_s = now_s_;
    for (JobKey key : plan_step(input, {.max_batch = 2, .batch_patience_s = 5}).admit) {
      const auto found =
          std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& view) { return view.key == key; });
      waited_s[std::string(found->tenant)] = std::max(waited_s[std::string(found->tenant)], now_s_ - found->queued_s);
      ++admitted[std::string(found->tenant)];
      active_.push_back({*found, 4});
      waiting_.erase(found);
    }
    for (Active& active : active_) --active.steps_left;
    std::erase_if(active_, [](const Active& active) { return active.steps_left == 0; });
    now_s_ += 0.1;
  }

  std::map<std::string, int> admitted;     // by tenant
  std::map<std::string, double> waited_s;  // the longest of each

 private:
  struct Active {
    WaitingView view;
    int steps_left;
  };
  std::vector<WaitingView> waiting_;
  std::vector<Active> active_;
  double now_s_ = 0;
};

TEST(QueueOrderTest, AKeyThatFloodsWaitsForItself) {
  World world;
  JobKey next = 1;
  for (int step = 0; step < 1000; ++step) {
    while (world.num_waiting("flood") < 50) world.arrive(next++, "flood");
    if (step % 10 == 0) world.arrive(next++, "calm");  // a fifth of what there is
    world.step();
  }
  EXPECT_EQ(world.admitted["calm"], 100) << "all that it asked for";
  EXPECT_EQ(world.admitted["flood"], 400) << "the rest goes to any request";
  EXPECT_LE(world.waited_s["calm"], 0.4 + 1e-6) << "no longer than until the next sequence ends";
}

TEST(QueueOrderTest, KeysThatAllFloodGetTheSame) {
  World world;
  JobKey next = 1;
  for (int step = 0; step < 1200; ++step) {
    for (const char* tenant : {"a", "b", "c"}) {
      while (world.num_waiting(tenant) < 20) world.arrive(next++, tenant);
    }
    world.step();
  }
  for (const char* tenant : {"a", "b", "c"}) EXPECT_NEAR(world.admitted[tenant], 200, 10) << tenant;
}

// Interactive jobs come three times as fast as they are served, for ever: their queue only grows.
TEST(QueueOrderTest, ABatchJobIsServedWhateverComes) {
  World world;
  JobKey next = 1;
  world.arrive(next++, "batch", Priority::kBatch);
  int steps = 0;
  for (; world.admitted["batch"] == 0 && steps < 10'000; ++steps) {
    if (steps % 2 == 0) {
      for (int i = 0; i < 3; ++i) world.arrive(next++, "interactive");
    }
    world.step();
  }
  // Those of its first 5 s, at most 26 x 3, go before it, two in each 0.4 s.
  EXPECT_LE(steps * 0.1, 78 / 2 * 0.4 + 0.4);
  EXPECT_GE(steps * 0.1, 5) << "it yields";
}

}  // namespace
}  // namespace sf::server
