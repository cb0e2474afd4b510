#include "server/scheduler/step_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

WaitingView waiting(JobKey key, int prompt_tokens = 8, double queued_s = 0) {
  return {.key = key, .queued_s = queued_s, .deadline_s = 1e9, .prompt_tokens = prompt_tokens};
}
RunningView running(JobKey key, int tokens_to_compute = 1) {
  return {.key = key, .deadline_s = 1e9, .tokens_to_compute = tokens_to_compute};
}
PlannerInput input(std::vector<WaitingView> queue, std::vector<RunningView> active, int free_pages = 1000) {
  return {
      .waiting = std::move(queue), .running = std::move(active), .free_pages = free_pages, .page_size = 4, .now_s = 10};
}
std::map<JobKey, int> work_of(const StepDecision& decision) {
  std::map<JobKey, int> work;
  for (const StepDecision::Work& item : decision.work) work[item.key] += item.num_tokens;
  return work;
}

TEST(StepPlannerTest, PlansNothingForNobody) {
  const StepDecision decision = plan_step(input({}, {}), {});
  EXPECT_THAT(decision.work, IsEmpty());
  EXPECT_THAT(decision.admit, IsEmpty());
}

TEST(StepPlannerTest, AdmitsInOrderOfArrivalUpToTheBatch) {
  const StepDecision decision = plan_step(input({waiting(1), waiting(2), waiting(3)}, {running(9)}), {.max_batch = 3});
  EXPECT_THAT(decision.admit, ElementsAre(1, 2));
  EXPECT_EQ(work_of(decision), (std::map<JobKey, int>{{9, 1}, {1, 8}, {2, 8}}));
}

TEST(StepPlannerTest, DecodingComesBeforeAnyPrompt) {
  const StepDecision decision =
      plan_step(input({waiting(3, 100)}, {running(1, 100), running(2)}), {.max_batch = 4, .max_step_tokens = 10});
  EXPECT_EQ(work_of(decision), (std::map<JobKey, int>{{2, 1}, {1, 9}}));
  EXPECT_THAT(decision.admit, IsEmpty()) << "no token is left for a new prompt";
}

TEST(StepPlannerTest, CutsAPromptIntoChunks) {
  const StepDecision decision = plan_step(input({waiting(1, 100)}, {}), {.max_batch = 4, .max_step_tokens = 32});
  EXPECT_EQ(work_of(decision), (std::map<JobKey, int>{{1, 32}}));
}

TEST(StepPlannerTest, DropsTheCancelledAndTheLateWhereverTheyAre) {
  WaitingView gone = waiting(1);
  gone.cancelled = true;
  WaitingView late = waiting(2);
  late.deadline_s = 10;  // now, exactly
  RunningView gone_running = running(3);
  gone_running.cancelled = true;
  RunningView late_running = running(4, 50);
  late_running.deadline_s = 9;
  late_running.preempted = true;
  const StepDecision decision = plan_step(input({gone, late}, {gone_running, late_running}), {});
  EXPECT_THAT(decision.cancelled, ElementsAre(3, 1));
  EXPECT_THAT(decision.expired, ElementsAre(4, 2));
  EXPECT_THAT(decision.work, IsEmpty());
}

TEST(StepPlannerTest, ADroppedSequenceFreesItsPlaceInTheSameStep) {
  RunningView gone = running(1);
  gone.cancelled = true;
  EXPECT_THAT(plan_step(input({waiting(2)}, {gone}), {.max_batch = 1}).admit, ElementsAre(2));
}

TEST(StepPlannerTest, InteractiveGoesFirst) {
  WaitingView batch = waiting(1, 8, 0);
  batch.priority = Priority::kBatch;
  EXPECT_THAT(plan_step(input({batch, waiting(2, 8, 1)}, {}), {.max_batch = 1}).admit, ElementsAre(2));
}

TEST(StepPlannerTest, BatchNeverStarves) {
  WaitingView batch = waiting(1, 8, 0);
  batch.priority = Priority::kBatch;
  // Interactive requests that came more than batch_patience_s later do not pass.
  EXPECT_THAT(plan_step(input({batch, waiting(2, 8, 5.5)}, {}), {.max_batch = 1, .batch_patience_s = 5}).admit,
              ElementsAre(1));
}

TEST(StepPlannerTest, AdmitsOnlyWhatFitsThePagesBesideOneForEachThatRuns) {
  // 8 prompt tokens and the first new one take 3 pages of 4; two run and may each need one.
  EXPECT_THAT(plan_step(input({waiting(1)}, {running(8), running(9)}, 4), {}).admit, IsEmpty());
  EXPECT_THAT(plan_step(input({waiting(1)}, {running(8), running(9)}, 5), {}).admit, ElementsAre(1));
}

TEST(StepPlannerTest, CountsThePagesThatAPromptUnderWayWasPromised) {
  // 39 tokens to go take 10 pages, one more is its reserve, the newcomer needs 3.
  EXPECT_THAT(plan_step(input({waiting(1)}, {running(8, 39)}, 13), {}).admit, IsEmpty());
  EXPECT_THAT(plan_step(input({waiting(1)}, {running(8, 39)}, 14), {}).admit, ElementsAre(1));
}

TEST(StepPlannerTest, TheFirstIsAlwaysLetIn) {
  EXPECT_THAT(plan_step(input({waiting(1, 1000)}, {}, 2), {}).admit, ElementsAre(1));
}

TEST(StepPlannerTest, APageShortageKeepsTheOrderOfTheQueue) {
  EXPECT_THAT(plan_step(input({waiting(1, 100), waiting(2, 2)}, {running(9)}, 10), {}).admit, IsEmpty())
      << "a small request must not pass a big one for ever";
}

TEST(StepPlannerTest, ThePreemptedComeBackBeforeAnybodyNew) {
  RunningView preempted = running(1, 20);
  preempted.preempted = true;
  const StepDecision tight = plan_step(input({waiting(2)}, {running(9), preempted}, 6), {});
  EXPECT_THAT(tight.resume, IsEmpty());
  EXPECT_THAT(tight.admit, IsEmpty()) << "the newcomer would take the pages that the preempted one waits for";
  const StepDecision roomy = plan_step(input({waiting(2)}, {running(9), preempted}, 100), {});
  EXPECT_THAT(roomy.resume, ElementsAre(1));
  EXPECT_THAT(roomy.admit, ElementsAre(2));
  EXPECT_EQ(work_of(roomy), (std::map<JobKey, int>{{9, 1}, {1, 20}, {2, 8}}));
}

TEST(StepPlannerTest, NeverPlansMoreTokensThanTheBudget) {
  std::vector<RunningView> active;
  for (JobKey key = 1; key <= 8; ++key) active.push_back(running(key, key % 2 == 0 ? 1 : 30));
  const StepDecision decision = plan_step(input({waiting(20, 30)}, active), {.max_batch = 16, .max_step_tokens = 50});
  int total = 0;
  for (const auto& [key, tokens] : work_of(decision)) {
    EXPECT_GT(tokens, 0) << key;
    total += tokens;
  }
  EXPECT_EQ(total, 50);
}

}  // namespace
}  // namespace sf::server
