// Answers chosen from given strings, through the scheduler: one event, true counts, and every way to end early.
#include "server/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;

class SchedulerChoicesTest : public ::testing::Test {
 protected:
  explicit SchedulerChoicesTest(int total_pages = 4096)
      : engine_(std::make_shared<FakeEngine>(FakeEngineOptions{.total_pages = total_pages})) {
    version_metrics_ = metrics_.add_version(1, engine_->info());
    scheduler_ =
        std::make_unique<Scheduler>(SchedulerDeps{.engine = engine_,
                                                  .clock = &clock_,
                                                  .metrics = &metrics_,
                                                  .version_metrics = version_metrics_,
                                                  .drain_rate = &drain_rate_,
                                                  .log_failure = [](const std::string&, const std::string&) {}},
                                    SchedulerOptions{});
  }

  std::shared_ptr<EventQueue> submit(const std::string& question, const std::vector<std::string>& choices,
                                     int top_logprobs = 0, double timeout_s = 60) {
    JobRequest request;
    request.request_id = question;
    request.api = "rest";
    request.prompt = engine_->prepare(ask(question), {});
    if (!choices.empty()) request.sampling.choices = engine_->prepare_choices(choices);
    request.sampling.top_logprobs = top_logprobs;
    request.logprobs = top_logprobs > 0;
    request.submitted_s = clock_.now_s();
    request.deadline_s = clock_.now_s() + timeout_s;
    auto stream = std::make_shared<EventQueue>(1);
    scheduler_->submit(std::make_unique<Job>(std::move(request), *engine_, stream, *scheduler_->reserve(4), nullptr));
    return stream;
  }
  // All events to the end; at most 500 steps.
  std::vector<Event> finish(EventQueue& stream) {
    std::vector<Event> events;
    for (int step = 0; step < 500; ++step) {
      while (auto event = stream.next_for(0)) {
        events.push_back(*event);
        if (event->finished) return events;
      }
      scheduler_->step_once();
      clock_.advance(0.01);
    }
    ADD_FAILURE() << "no terminal event in 500 steps";
    return events;
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  std::shared_ptr<FakeEngine> engine_;
  std::shared_ptr<VersionMetrics> version_metrics_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerChoicesTest, TheAnswerIsOneEventAndItsTokensAreCounted) {
  engine_->script("which?", {"squ", "are"});
  const std::vector<Event> events = finish(*submit("which?", {"circle", "square", "ring"}));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].text, "square");
  EXPECT_TRUE(events[0].tokens.empty());
  ASSERT_TRUE(events[1].summary);
  const Summary& summary = *events[1].summary;
  EXPECT_EQ(summary.finish_reason, FinishReason::kStop);
  EXPECT_EQ(summary.usage.completion_tokens, 7) << "its bytes and its end";
  ASSERT_EQ(summary.choices.size(), 3u);
  EXPECT_EQ(summary.choices[0].text, "circle");
  EXPECT_EQ(summary.choices[1].probability, 0.75);
  EXPECT_EQ(summary.choices[0].probability + summary.choices[1].probability + summary.choices[2].probability, 1);
  EXPECT_NEAR(summary.timings.decode_ms, 10, 1e-6) << "the step in which the last two parted";
  EXPECT_EQ(engine_->num_sequences(), 0);
  const std::string text = metrics_.text({}, clock_.now_s());
  EXPECT_THAT(text, HasSubstr("sparsefusion_generated_tokens_total{model=\"sparsefusion\",version=\"1\"} 7"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_prefill_seconds_count{model=\"sparsefusion\",version=\"1\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("sparsefusion_time_to_first_token_seconds_count{model=\"sparsefusion\",version=\"1\"} 1"));
}

TEST_F(SchedulerChoicesTest, AClientThatLeavesWhileChoicesAreWeighedFreesItsSlot) {
  std::vector<std::string> many;
  for (int i = 0; i < 64; ++i) many.push_back("choice " + std::to_string(i));
  const auto stream = submit("which?", many);
  for (int i = 0; i < 5; ++i) scheduler_->step_once();
  stream->cancel();
  const int steps = engine_->num_steps();
  const std::vector<Event> events = finish(*stream);
  ASSERT_TRUE(events.back().error);
  EXPECT_EQ(events.back().error->code(), Code::kCancelled);
  EXPECT_LE(engine_->num_steps(), steps + 2);
  EXPECT_EQ(engine_->num_sequences(), 0);
  EXPECT_THAT(metrics_.text({}, clock_.now_s()),
              HasSubstr("sparsefusion_requests_cancelled_total{api=\"rest\",phase=\"decode\"} 1"));
}

TEST_F(SchedulerChoicesTest, TheDeadlineCounts) {
  std::vector<std::string> many;
  for (int i = 0; i < 64; ++i) many.push_back("choice " + std::to_string(i));
  const std::vector<Event> events = finish(*submit("which?", many, 0, 0.1));
  ASSERT_TRUE(events.back().error);
  EXPECT_EQ(events.back().error->code(), Code::kDeadlineExceeded);
}

TEST_F(SchedulerChoicesTest, AlternativesComeBesideEachToken) {
  engine_->script("q", {"re", "d"});
  const std::vector<Event> events = finish(*submit("q", {}, 2));
  ASSERT_GE(events.size(), 2u);
  ASSERT_EQ(events[0].tokens.size(), 1u);
  const TokenLogprob& token = events[0].tokens[0];
  EXPECT_EQ(token.text, "re");
  ASSERT_EQ(token.top.size(), 2u);
  EXPECT_EQ(token.top[0].text, "re");
  EXPECT_EQ(token.top[1].text, "</s>") << "as the vocabulary writes it";
  EXPECT_LT(token.top[1].logprob, token.top[0].logprob);
}

class CrowdedChoicesTest : public SchedulerChoicesTest {
 protected:
  CrowdedChoicesTest() : SchedulerChoicesTest(12) {}
};

TEST_F(CrowdedChoicesTest, SurvivePreemption) {
  engine_->script("first question", {"x"});
  std::vector<std::string> many = {"x"};
  for (int i = 0; i < 12; ++i) many.push_back("y" + std::to_string(i));
  const auto first = submit("first question", many), second = submit("first question", many);
  for (const auto& stream : {first, second}) {
    const std::vector<Event> events = finish(*stream);
    EXPECT_EQ(events.front().text, "x");
    ASSERT_TRUE(events.back().summary);
    EXPECT_EQ(events.back().summary->choices[0].probability, 0.75);
  }
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

}  // namespace
}  // namespace sf::server
