// What of a request with choices is refused before anything is computed, and what is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/service/answer_service_fixture.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;

class AnswerChoicesTest : public AnswerServiceFixture {
 protected:
  void start(QueueLimits queue = {}) {
    SchedulerOptions scheduler;
    scheduler.queue = queue;
    AnswerServiceFixture::start(scheduler);
    engine_ = &publish(1);
  }
  static AnswerRequest request(const std::string& question = "which?") {
    AnswerRequest request;
    request.request_id = "id";
    request.api = "rest";
    request.messages = ask(question);
    request.sampling.temperature = -1;
    request.choices = {"circle", "square"};
    return request;
  }

  FakeEngine* engine_ = nullptr;
};

TEST_F(AnswerChoicesTest, AnswersWithOneOfThem) {
  start();
  engine_->script("which?", {"square"});
  const auto stream = service_->submit(request());
  std::string text;
  Event event;
  do {
    event = stream->next();
    text += event.text;
  } while (!event.finished);
  EXPECT_EQ(text, "square");
  ASSERT_TRUE(event.summary);
  EXPECT_EQ(event.summary->choices.size(), 2u);
}

TEST_F(AnswerChoicesTest, RefusesWhatMeansNothingBesideThem) {
  start();
  const auto refused_field = [&](const std::function<void(AnswerRequest&)>& change) {
    AnswerRequest asked = request();
    change(asked);
    const Error error = refusal(asked);
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.field();
  };
  EXPECT_EQ(refused_field([](auto& r) { r.stop = {"x"}; }), "stop");
  EXPECT_EQ(refused_field([](auto& r) { r.logprobs = true; }), "logprobs");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.top_p = 0.5f; }), "top_p");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.top_k = 1; }), "top_k");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.record_routing = true; }), "routing");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.min_tokens = 1; }), "min_tokens");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.ignore_eos = true; }), "ignore_eos");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.presence_penalty = 1; }), "presence_penalty");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.frequency_penalty = 1; }), "frequency_penalty");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.repetition_penalty = 2; }), "repetition_penalty");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.logit_bias = {{1, 1.0f}}; }), "logit_bias");
  EXPECT_EQ(refused_field([](auto& r) { r.sampling.max_tokens = 6; }), "max_tokens");
  EXPECT_EQ(refused_field([](auto& r) {
              r.choices = {"a", std::string(240, 'b')}, r.messages = ask(std::string(300, 'q'));
            }),
            "choices");
  EXPECT_EQ(engine_->num_prepared(), 1) << "only the last one needed its prompt's length";
  AnswerRequest enough = request();
  enough.sampling.max_tokens = 7;
  service_->submit(enough)->cancel();
}

TEST_F(AnswerChoicesTest, ReserveWhatTheyCompute) {
  start({.max_requests = 4, .max_tokens = 30});
  engine_->hold_steps();
  service_->submit(request("a"));  // runs
  engine_->wait_until_blocked();
  service_->submit(request("b"));  // waits: 5 tokens and none for its choices
  AnswerRequest many = request("c");
  for (int i = 0; i < 40; ++i) many.choices.push_back(std::to_string(i));
  const Error error = refusal(many);
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_THAT(error.what(), HasSubstr("queue"));
  engine_->release_steps();
}

}  // namespace
}  // namespace sf::server
