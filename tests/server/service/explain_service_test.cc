// Explanations through the service: few at a time, bounded by the deadline, beside the scheduler.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "server/service/answer_service.h"
#include "server/service/explain_fields.h"
#include "server/versions/background_work.h"
#include "server/versions/serving_version.h"
#include "tests/support/fake_engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/quiet_deps.h"

namespace sf::server {
namespace {

ExplainRequest request_of(const std::string& question, const std::string& image = "IMG") {
  ExplainRequest request;
  request.question.request_id = "id-" + question;
  request.question.api = "rest";
  request.question.messages = ask(question, image);
  return request;
}

bool wanted() { return false; }

class ExplainServiceTest : public testing::Test {
 protected:
  void start(ServiceOptions options = {}) {
    serving_ = test::quiet_deps(clock_, metrics_, drain_rate_);
    service_ = std::make_unique<AnswerService>(
        options, ServiceDeps{&slot_, &metrics_, &drain_rate_, &clock_, [](const std::string&) {}});
    auto engine = std::make_unique<FakeEngine>();
    engine_ = engine.get();
    slot_.publish(make_serving_version(4, std::move(engine), std::nullopt, nullptr, serving_));
  }
  Code code_of(ExplainRequest request, const std::function<bool()>& is_unwanted = wanted) {
    try {
      service_->explain(std::move(request), is_unwanted);
    } catch (const Error& error) {
      last_reason_ = error.reason();
      return error.code();
    }
    return Code::kOk;
  }
  void wait_until_explaining(int count) {
    while (engine_->num_explaining() < count) std::this_thread::yield();
  }

  ManualClock clock_;
  Metrics metrics_{{}};
  DrainRate drain_rate_;
  ServingDeps serving_;
  ModelSlot slot_{
      [this](const ServingVersion& version) { metrics_.retire_version(version.metrics.get(), clock_.now_s()); }};
  std::unique_ptr<AnswerService> service_;
  FakeEngine* engine_ = nullptr;
  Reason last_reason_ = Reason::kNone;
};

TEST_F(ExplainServiceTest, ExplainsOnTheCurrentVersion) {
  start();
  ExplainRequest request = request_of("red");
  request.options.method = HeatmapMethod::kOcclusion;
  request.question.sampling.max_tokens = 2;
  const ExplainResult result = service_->explain(request, wanted);
  EXPECT_EQ(result.model, "sparsefusion");
  EXPECT_EQ(result.model_version, 4);
  EXPECT_EQ(result.explanation.answer, "re");
  EXPECT_EQ(result.explanation.method, HeatmapMethod::kOcclusion);
  EXPECT_EQ(result.png, "");
}

TEST_F(ExplainServiceTest, OnlyOneRunsAtATimeAndTheNextIsToldToComeBack) {
  start();
  engine_->hold_explains();
  std::thread first([&] { EXPECT_EQ(service_->explain(request_of("a"), wanted).explanation.answer, "a"); });
  wait_until_explaining(1);
  EXPECT_EQ(code_of(request_of("b")), Code::kResourceExhausted);
  EXPECT_EQ(last_reason_, Reason::kQueueFull);
  // Answers go on meanwhile.
  auto stream = service_->submit(request_of("c").question);
  std::string text;
  for (bool finished = false; !finished;) {
    const Event event = stream->next(true);
    text += event.text;
    finished = event.finished;
  }
  EXPECT_EQ(text, "c");
  engine_->release_explains();
  first.join();
  EXPECT_EQ(code_of(request_of("b")), Code::kOk);
}

TEST_F(ExplainServiceTest, OneOfAnotherTenantWaitsForItsTurn) {
  start();
  engine_->hold_explains();
  const auto of = [](const std::string& tenant) {
    ExplainRequest request = request_of(tenant);
    request.question.tenant = tenant;
    return request;
  };
  std::thread first([&] { EXPECT_EQ(service_->explain(of("a"), wanted).explanation.answer, "a"); });
  wait_until_explaining(1);
  std::atomic<bool> left{false};
  std::thread other([&] { EXPECT_EQ(service_->explain(of("b"), wanted).explanation.answer, "b"); });
  std::thread leaves([&] { EXPECT_THROW(service_->explain(of("c"), [&] { return left.load(); }), Error); });
  EXPECT_EQ(code_of(of("a")), Code::kResourceExhausted) << "it has one already";
  left = true;
  leaves.join();
  EXPECT_EQ(engine_->num_explaining(), 1);
  engine_->release_explains();
  first.join();
  other.join();
}

TEST_F(ExplainServiceTest, AFailedOneFreesItsPlace) {
  start();
  engine_->fail_question("bad", invalid_argument("layer", "layer: must be 0..2"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code_of(request_of("bad")), Code::kInvalidArgument);
  EXPECT_EQ(code_of(request_of("q", "GIF89a")), Code::kInvalidArgument);
  EXPECT_EQ(code_of(request_of("q", "IMG broken")), Code::kInvalidArgument);
  EXPECT_EQ(code_of(request_of("good")), Code::kOk);
}

TEST_F(ExplainServiceTest, TheDeadlineEndsIt) {
  start({.request_timeout_s = 60});
  engine_->hold_explains();
  std::thread later([&] {
    wait_until_explaining(1);
    clock_.advance(2);
  });
  ExplainRequest request = request_of("q");
  request.question.timeout_ms = 1500;
  EXPECT_EQ(code_of(request), Code::kDeadlineExceeded);
  later.join();
}

TEST_F(ExplainServiceTest, AClientThatLeavesEndsIt) {
  start();
  engine_->hold_explains();
  std::atomic<bool> gone{false};
  std::thread later([&] {
    wait_until_explaining(1);
    gone = true;
  });
  EXPECT_EQ(code_of(request_of("q"), [&] { return gone.load(); }), Code::kCancelled);
  later.join();
}

TEST_F(ExplainServiceTest, ADrainWaitsForItAndAbortEndsIt) {
  start();
  engine_->hold_explains();
  std::thread held([&] { EXPECT_EQ(code_of(request_of("q")), Code::kUnavailable); });
  wait_until_explaining(1);
  service_->drain();
  EXPECT_EQ(code_of(request_of("new")), Code::kUnavailable);
  EXPECT_FALSE(service_->wait_idle(0.01));
  service_->abort();
  held.join();
  EXPECT_TRUE(service_->wait_idle(10));
}

TEST(LowPriorityTest, RunsBelowTheCallerAndPassesOnWhatIsThrown) {
  int inside = 0;
  const int before = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
  ModelSlot slot;
  run_at_low_priority(kExplainNiceness, slot,
                      [&] { inside = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())); });
  EXPECT_EQ(inside, 19);
  EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())), before);
  const auto refuse = [] { throw invalid_argument("layer", "layer: no"); };
  EXPECT_THROW(run_at_low_priority(kExplainNiceness, slot, refuse), Error);
}

TEST(ExplainFieldsTest, DefaultsAreTheEngines) {
  AnswerFields fields;
  fields.image = "IMG";
  fields.question = "q";
  const ExplainRequest request = make_explain_request(fields, "id", "rest");
  EXPECT_EQ(request.options.method, HeatmapMethod::kRelevancy);
  EXPECT_EQ(request.options.layer, -1);
  EXPECT_EQ(request.options.max_tokens, 32);
  EXPECT_FALSE(request.image);
  EXPECT_EQ(request.image_token, -1);
}

TEST(ExplainFieldsTest, NamesWhatIsWrong) {
  const auto field_of = [](const std::function<void(AnswerFields&)>& spoil) -> std::string {
    AnswerFields fields;
    fields.image = "IMG";
    fields.question = "q";
    spoil(fields);
    try {
      make_explain_request(fields, "id", "rest");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return error.field();
    }
    return "none";
  };
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.method = "saliency"; }), "method");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.format = "gif"; }), "format");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.layer = -2; }), "layer");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.head = int64_t{1} << 40; }), "head");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.lens_top = 21; }), "lens_top");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.explain.token = 64; }), "token");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.max_tokens = 65; }), "max_tokens");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.stream = true; }), "stream");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.stop = {"x"}; }), "stop");
  EXPECT_EQ(field_of([](AnswerFields& f) { f.image.reset(); }), "image");
}

}  // namespace
}  // namespace sf::server
