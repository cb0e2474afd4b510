#include "server/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/scheduler/scheduler_thread.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;

class SchedulerTest : public ::testing::Test {
 protected:
  void start(FakeEngineOptions engine_options = {}, SchedulerOptions options = {}) {
    engine_ = std::make_shared<FakeEngine>(engine_options);
    version_metrics_ = metrics_.add_version(1, engine_->info());
    SchedulerDeps deps;
    deps.engine = engine_;
    deps.clock = &clock_;
    deps.metrics = &metrics_;
    deps.version_metrics = version_metrics_;
    deps.drain_rate = &drain_rate_;
    deps.log_failure = [this](const std::string&, const std::string& what) { failures_.push_back(what); };
    scheduler_ = std::make_unique<Scheduler>(std::move(deps), options);
  }

  struct Options {
    int max_tokens = 100;
    std::vector<std::string> stop = {};
    double timeout_s = 60;
    Priority priority = Priority::kInteractive;
    int min_tokens = 0;
  };
  std::shared_ptr<EventQueue> submit(const std::string& question, Options options) {
    auto ticket = scheduler_->reserve(static_cast<int>(question.size()));
    EXPECT_TRUE(ticket.has_value());
    JobRequest request;
    request.request_id = question;
    request.api = "rest";
    request.prompt = engine_->prepare(ask(question), {});
    request.sampling.max_tokens = options.max_tokens;
    request.sampling.min_tokens = options.min_tokens;
    request.stop = options.stop;
    request.priority = options.priority;
    request.submitted_s = clock_.now_s();
    request.deadline_s = clock_.now_s() + options.timeout_s;
    auto stream = std::make_shared<EventQueue>(1);
    scheduler_->submit(std::make_unique<Job>(std::move(request), *engine_, stream, std::move(*ticket), nullptr));
    return stream;
  }
  std::shared_ptr<EventQueue> submit(const std::string& question) { return submit(question, Options()); }

  // Steps until `stream` ends (at most 500 steps) and gives its text; the end is left in last_.
  std::string finish(EventQueue& stream) {
    std::string text;
    for (int step = 0; step < 500; ++step) {
      while (auto event = stream.next_for(0)) {
        text += event->text;
        if (event->finished) {
          last_ = *event;
          return text;
        }
      }
      scheduler_->step_once();
      clock_.advance(0.01);
    }
    ADD_FAILURE() << "no terminal event in 500 steps";
    return text;
  }
  Code code() const { return last_.error ? last_.error->code() : Code::kOk; }
  std::string scrape() { return metrics_.text({}, clock_.now_s()); }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  std::shared_ptr<FakeEngine> engine_;
  std::shared_ptr<VersionMetrics> version_metrics_;
  std::vector<std::string> failures_;
  std::unique_ptr<Scheduler> scheduler_;
  Event last_;
};

TEST_F(SchedulerTest, AnswersAndReportsUsageAndTimes) {
  start();
  engine_->script("what colour?", {"re", "d"});
  auto stream = submit("what colour?");
  clock_.advance(0.5);  // it waits half a second
  EXPECT_EQ(finish(*stream), "red");
  ASSERT_TRUE(last_.summary.has_value());
  const Summary& summary = *last_.summary;
  EXPECT_EQ(summary.finish_reason, FinishReason::kStop);
  EXPECT_EQ(summary.usage.image_tokens, 4);
  EXPECT_EQ(summary.usage.prompt_tokens, 16);
  EXPECT_EQ(summary.usage.completion_tokens, 3) << "the stop token is generated too";
  EXPECT_EQ(summary.assigned_tokens, (16 + 2) * 2u) << "two layers, one expert each";
  EXPECT_NEAR(summary.timings.queue_ms, 500, 1e-6);
  EXPECT_NEAR(summary.timings.image_ms, 3, 1e-6);
  EXPECT_NEAR(summary.timings.decode_ms, 20, 1e-6);
  EXPECT_NEAR(summary.timings.total_ms, 520, 1e-6);
  EXPECT_EQ(engine_->num_sequences(), 0);
}

TEST_F(SchedulerTest, MaxTokensEndsWithLength) {
  start();
  auto stream = submit("abcdef", {.max_tokens = 3});
  EXPECT_EQ(finish(*stream), "abc");
  EXPECT_EQ(last_.summary->finish_reason, FinishReason::kLength);
  EXPECT_EQ(last_.summary->usage.completion_tokens, 3);
}

TEST_F(SchedulerTest, TheContextCutsTheAnswer) {
  start({.max_context = 20});
  auto stream = submit("abcdefghijkl");  // 4 + 12 tokens leave room for 4
  EXPECT_EQ(finish(*stream), "abcd");
  EXPECT_EQ(last_.summary->finish_reason, FinishReason::kLength);
}

TEST_F(SchedulerTest, AStopStringAcrossTokensIsNeverSent) {
  start();
  engine_->script("q", {"red", " E", "N", "D", " more"});
  auto stream = submit("q", {.stop = {" END"}});
  EXPECT_EQ(finish(*stream), "red");
  EXPECT_EQ(last_.summary->finish_reason, FinishReason::kStop);
  EXPECT_EQ(last_.summary->usage.completion_tokens, 4);
  EXPECT_EQ(engine_->num_sequences(), 0) << "the slot is free at once";
}

// As vLLM does.
TEST_F(SchedulerTest, WhatIsSaidBeforeMinTokensIsNoPartOfAStopString) {
  start();
  engine_->script("q", {"a", "END", "b", "E", "ND", "c"});
  auto stream = submit("q", {.stop = {"END"}, .min_tokens = 2});
  EXPECT_EQ(finish(*stream), "aENDb");
  EXPECT_EQ(last_.summary->usage.completion_tokens, 5);
  engine_->script("q", {"E", "ND", "c"});
  auto across = submit("q", {.stop = {"END"}, .min_tokens = 1});
  EXPECT_EQ(finish(*across), "ENDc") << "its first letter came too early";
}

TEST_F(SchedulerTest, WhatOnlyLookedLikeAStopIsSentAtTheEnd) {
  start();
  engine_->script("q", {"red", " E", "N"});
  auto stream = submit("q", {.stop = {" END"}});
  EXPECT_EQ(finish(*stream), "red EN");
}

TEST_F(SchedulerTest, RequestsJoinAndLeaveBetweenSteps) {
  start();
  auto first = submit("aaaa");
  scheduler_->step_once();
  scheduler_->step_once();
  auto second = submit("bb");
  scheduler_->step_once();
  EXPECT_EQ(scheduler_->num_running(), 2);
  EXPECT_EQ(engine_->plans().back().items.size(), 2u);
  EXPECT_EQ(finish(*second), "bb");
  EXPECT_EQ(finish(*first), "aaaa");
  EXPECT_EQ(scheduler_->num_running(), 0);
}

TEST_F(SchedulerTest, ALongPromptNeverStopsDecoding) {
  start({.max_context = 2000}, {.planner = {.max_batch = 4, .max_step_tokens = 16}});
  auto fast = submit("abc");
  scheduler_->step_once();
  auto slow = submit(std::string(300, 'x'), {.max_tokens = 1});
  std::string text;
  for (int step = 0; step < 3; ++step) {
    scheduler_->step_once();
    const StepPlan plan = engine_->plans().back();
    for (const StepPlan::Item& item : plan.items) EXPECT_LE(item.num_tokens, 16);
  }
  EXPECT_EQ(finish(*fast), "abc") << "a token each step, whatever the other prompt takes";
  EXPECT_EQ(engine_->num_steps(), 4);
  EXPECT_EQ(finish(*slow), "x");
}

TEST_F(SchedulerTest, ACancelledPrefillIsGoneWithinTwoSteps) {
  start({.max_context = 2000}, {.planner = {.max_batch = 2, .max_step_tokens = 4}});
  auto stream = submit(std::string(300, 'x'));
  scheduler_->step_once();
  EXPECT_EQ(engine_->num_sequences(), 1);
  stream->cancel();
  scheduler_->step_once();
  EXPECT_EQ(engine_->num_sequences(), 0);
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
  EXPECT_EQ(stream->next().error->code(), Code::kCancelled);
  EXPECT_THAT(scrape(), HasSubstr("sparsefusion_requests_cancelled_total{api=\"rest\",phase=\"prefill\"} 1"));
}

TEST_F(SchedulerTest, CancelledWhileQueuedAndWhileDecoding) {
  start({}, {.planner = {.max_batch = 1}});
  auto decoding = submit("aaaaaaaaaa");
  auto queued = submit("b");
  scheduler_->step_once();
  decoding->cancel();
  queued->cancel();
  scheduler_->step_once();
  EXPECT_EQ(engine_->num_sequences(), 0);
  EXPECT_EQ(scheduler_->queue_load().requests, 0);
  EXPECT_THAT(scrape(), HasSubstr("sparsefusion_requests_cancelled_total{api=\"rest\",phase=\"queued\"} 1"));
  EXPECT_THAT(scrape(), HasSubstr("sparsefusion_requests_cancelled_total{api=\"rest\",phase=\"decode\"} 1"));
}

TEST_F(SchedulerTest, ADeadlinePassesWhileQueued) {
  start({}, {.planner = {.max_batch = 1}});
  auto running = submit("aaaaaa");
  auto queued = submit("b", {.timeout_s = 1});
  scheduler_->step_once();
  clock_.advance(1);
  scheduler_->step_once();
  EXPECT_EQ(queued->next().error->code(), Code::kDeadlineExceeded);
  EXPECT_EQ(finish(*running), "aaaaaa");
}

TEST_F(SchedulerTest, ADeadlinePassesWhileDecoding) {
  start();
  auto stream = submit("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", {.timeout_s = 0.1});
  finish(*stream);
  EXPECT_EQ(code(), Code::kDeadlineExceeded);
  EXPECT_EQ(engine_->num_sequences(), 0);
}

TEST_F(SchedulerTest, AThrowingStepFailsOnlyItsOwnSequences) {
  start({}, {.planner = {.max_batch = 1}});
  auto first = submit("aaa");
  auto second = submit("bbb");
  scheduler_->step_once();
  engine_->fail_next_step("secret path");
  scheduler_->step_once();
  EXPECT_EQ(finish(*first), "a");
  EXPECT_EQ(code(), Code::kInternal);
  EXPECT_THAT(last_.error->what(), ::testing::Not(HasSubstr("secret"))) << "clients learn nothing of the inside";
  EXPECT_THAT(failures_.at(0), HasSubstr("secret path"));
  EXPECT_EQ(finish(*second), "bbb") << "the scheduler serves on";
  EXPECT_EQ(engine_->num_sequences(), 0);
}

TEST_F(SchedulerTest, ASequenceErrorLeavesTheOthersAlone) {
  start();
  engine_->fail_question("bad", Error(Code::kInternal, "nan in layer 3"));
  auto bad = submit("bad");
  auto good = submit("good");
  EXPECT_EQ(finish(*good), "good");
  finish(*bad);
  EXPECT_EQ(code(), Code::kInternal);
  EXPECT_EQ(engine_->num_sequences(), 0);
}

TEST_F(SchedulerTest, ARefusedAdmissionFailsOnlyItself) {
  start();
  auto bad = submit("bad");
  auto good = submit("good");
  engine_->fail_admit("bad");
  EXPECT_EQ(finish(*good), "good");
  finish(*bad);
  EXPECT_EQ(code(), Code::kInternal);
}

TEST_F(SchedulerTest, OutOfPagesPreemptsTheYoungestAndComputesItAgain) {
  // 12 pages of 4 tokens; each needs 4 + 12 prompt tokens + 12 new = 7 pages in the end: only one can finish at a time.
  start({.total_pages = 12, .page_size = 4});
  auto older = submit("abcdefghijkl");
  auto younger = submit("mnopqrstuvwx");
  EXPECT_EQ(finish(*older), "abcdefghijkl");
  EXPECT_EQ(finish(*younger), "mnopqrstuvwx") << "nothing is lost or said twice";
  EXPECT_EQ(last_.summary->usage.completion_tokens, 13);
  EXPECT_THAT(scrape(), HasSubstr("sparsefusion_preemptions_total{model=\"sparsefusion\",version=\"1\"} 1"));
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

TEST_F(SchedulerTest, ThreeFightForPagesAndAllFinish) {
  start({.total_pages = 10, .page_size = 4});
  auto a = submit("abcdefghijkl");
  auto b = submit("bcdefghijklm");
  auto c = submit("cdefghijklmn");
  EXPECT_EQ(finish(*a), "abcdefghijkl");
  EXPECT_EQ(finish(*b), "bcdefghijklm");
  EXPECT_EQ(finish(*c), "cdefghijklmn");
}

TEST_F(SchedulerTest, WhatNeverFitsFailsAndTheRestGoesOn) {
  start({.total_pages = 4, .page_size = 4, .max_context = 512});
  auto huge = submit(std::string(40, 'x'));
  auto small = submit("ab");
  finish(*huge);
  EXPECT_EQ(code(), Code::kResourceExhausted);
  EXPECT_EQ(finish(*small), "ab");
}

TEST_F(SchedulerTest, APreemptedJobIsBeyondTheQueueLimits) {
  start({.total_pages = 12, .page_size = 4}, {.queue = {.max_requests = 2, .max_tokens = 1000}});
  auto older = submit("abcdefghijkl");
  auto younger = submit("mnopqrstuvwx");
  while (!::testing::Value(scrape(), HasSubstr("preemptions_total{model=\"sparsefusion\",version=\"1\"} 1")))
    scheduler_->step_once();
  EXPECT_EQ(scheduler_->queue_load().requests, 0);
  auto first = scheduler_->reserve(1);
  auto second = scheduler_->reserve(1);
  EXPECT_FALSE(scheduler_->reserve(1).has_value());
  EXPECT_EQ(finish(*younger), "mnopqrstuvwx");
}

TEST_F(SchedulerTest, TheQueueCountsUntilAJobRuns) {
  start({}, {.planner = {.max_batch = 1}, .queue = {.max_requests = 2, .max_tokens = 1000}});
  auto first = submit("aa");
  auto second = submit("bb");
  EXPECT_FALSE(scheduler_->reserve(1).has_value());
  scheduler_->step_once();
  EXPECT_EQ(scheduler_->queue_load().requests, 1);
  EXPECT_EQ(scheduler_->queue_load().tokens, 2);
  EXPECT_TRUE(scheduler_->reserve(1).has_value());
  EXPECT_EQ(finish(*second), "bb");
}

TEST_F(SchedulerTest, TheHeartbeatAgesOnlyWithWork) {
  start();
  clock_.advance(1000);
  EXPECT_DOUBLE_EQ(scheduler_->last_step_age_s(), 0) << "idle is not stalled";
  auto stream = submit("ab");
  clock_.advance(31);
  EXPECT_DOUBLE_EQ(scheduler_->last_step_age_s(), 31) << "work and no step";
  scheduler_->step_once();
  EXPECT_DOUBLE_EQ(scheduler_->last_step_age_s(), 0);
  finish(*stream);
  clock_.advance(1000);
  EXPECT_DOUBLE_EQ(scheduler_->last_step_age_s(), 0);
}

TEST_F(SchedulerTest, AbortEndsEverybodyWithUnavailable) {
  start({}, {.planner = {.max_batch = 1}});
  auto running = submit("aaa");
  auto queued = submit("bbb");
  scheduler_->step_once();
  scheduler_->abort();
  scheduler_->step_once();
  finish(*running);
  EXPECT_EQ(code(), Code::kUnavailable);
  finish(*queued);
  EXPECT_EQ(code(), Code::kUnavailable);
  EXPECT_EQ(engine_->num_sequences(), 0);
  EXPECT_EQ(scheduler_->queue_load().requests, 0);
}

TEST_F(SchedulerTest, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(start({}, {.planner = {.max_batch = 0}}), Error);
  EXPECT_THROW(start({}, {.planner = {.max_batch = 32, .max_step_tokens = 16}}), Error);
}

TEST_F(SchedulerTest, TheThreadServesAndFailsWhatIsLeftWhenItStops) {
  start();
  auto answered = submit("abc");
  engine_->hold_steps();
  auto thread = std::make_unique<SchedulerThread>(std::move(scheduler_));
  engine_->wait_until_blocked();
  engine_->release_steps();
  std::string text;
  for (Event event = answered->next(true); !event.finished; event = answered->next(true)) text += event.text;
  EXPECT_EQ(text, "abc");
  thread.reset();
  EXPECT_EQ(engine_->num_sequences(), 0);
}

}  // namespace
}  // namespace sf::server
