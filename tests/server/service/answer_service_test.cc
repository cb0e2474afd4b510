#include "server/service/answer_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "server/versions/reloader.h"
#include "tests/server/service/answer_service_fixture.h"
#include "tests/server/versions/fake_source.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;

struct Answer {
  std::string text;
  Code code = Code::kOk;
  Summary summary;
};

Answer read(ResponseStream& stream) {
  Answer answer;
  while (true) {
    const Event event = stream.next(true);
    answer.text += event.text;
    if (!event.finished) continue;
    if (event.error) answer.code = event.error->code();
    if (event.summary) answer.summary = *event.summary;
    return answer;
  }
}

AnswerRequest request_of(const std::string& question, const std::string& image = "IMG") {
  AnswerRequest request;
  request.request_id = "id-" + question;
  request.api = "rest";
  request.messages = ask(question, image);
  request.sampling.temperature = -1;
  return request;
}

using AnswerServiceTest = AnswerServiceFixture;

TEST_F(AnswerServiceTest, IsNotReadyBeforeAModelIsPublished) {
  start();
  EXPECT_FALSE(service_->health().ready);
  EXPECT_TRUE(service_->health().live);
  EXPECT_TRUE(service_->models().empty());
  const Error error = refusal(request_of("q"));
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_EQ(error.reason(), Reason::kDraining);
}

TEST_F(AnswerServiceTest, AnswersAndDescribesItsModel) {
  start();
  publish(7);
  auto stream = service_->submit(request_of("hello"));
  EXPECT_EQ(stream->model_version(), 7);
  EXPECT_EQ(read(*stream).text, "hello");
  ASSERT_EQ(service_->models().size(), 1u);
  EXPECT_EQ(service_->models()[0].id, "sparsefusion");
  EXPECT_EQ(service_->models()[0].version, 7);
  EXPECT_EQ(service_->models()[0].info.digest, "digest7");
  EXPECT_TRUE(service_->health().ready);
}

TEST_F(AnswerServiceTest, RefusesWhatIsWrongAndNamesTheField) {
  start();
  publish(1);
  AnswerRequest unknown = request_of("q");
  unknown.model = "gpt";
  EXPECT_EQ(refusal(unknown).code(), Code::kNotFound);
  EXPECT_EQ(refusal(request_of("q", "GIF89a")).field(), "image");
  EXPECT_EQ(refusal(request_of(std::string(5000, 'x'))).field(), "question");
  AnswerRequest nothing = request_of("q");
  nothing.sampling.max_tokens = 0;
  EXPECT_EQ(refusal(nothing).field(), "max_tokens");
  AnswerRequest many = request_of("q");
  many.stop.assign(17, "x");
  EXPECT_EQ(refusal(many).field(), "stop");
  AnswerRequest long_stop = request_of("q");
  long_stop.stop = {std::string(257, 'x')};
  EXPECT_EQ(refusal(long_stop).field(), "stop");
  EXPECT_EQ(read(*service_->submit(request_of("still fine"))).text, "still fine");
  EXPECT_THAT(service_->metrics_text(),
              HasSubstr("sparsefusion_requests_rejected_total{reason=\"invalid_argument\"} 5"));
  EXPECT_THAT(service_->metrics_text(), HasSubstr("sparsefusion_requests_rejected_total{reason=\"not_found\"} 1"));
}

TEST_F(AnswerServiceTest, RefusesWhatTheLogitsCannotBeChangedBy) {
  start();
  slot_.publish(make_serving_version(1, std::make_unique<FakeEngine>(FakeEngineOptions{.vocab_size = 10}), std::nullopt,
                                     nullptr, serving_));
  AnswerRequest longer = request_of("q");
  longer.sampling.max_tokens = 4;
  longer.sampling.min_tokens = 5;
  EXPECT_EQ(refusal(longer).field(), "min_tokens");
  longer.sampling.min_tokens = 4;
  service_->submit(longer)->cancel();
  AnswerRequest biased = request_of("q");
  biased.sampling.logit_bias = {{10, 1.0f}};
  EXPECT_EQ(refusal(biased).field(), "logit_bias");
  biased.sampling.logit_bias = {{9, 1.0f}};
  service_->submit(biased)->cancel();
  ExplainRequest explained;
  explained.question = longer;
  explained.question.sampling.logit_bias = {{10, 1.0f}};
  try {
    service_->explain(explained, [] { return false; });
    ADD_FAILURE() << "explained";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "logit_bias");
  }
}

TEST_F(AnswerServiceTest, GivesTheRoutingToWhoAsksAndRefusesAnothersModels) {
  start();
  FakeEngine& engine = publish(1);
  EXPECT_EQ(read(*service_->submit(request_of("hi"))).summary.routing, nullptr);
  AnswerRequest asks = request_of("hi");
  asks.sampling.record_routing = true;
  const auto record = read(*service_->submit(asks)).summary.routing;
  ASSERT_TRUE(record);
  EXPECT_EQ(record->num_layers, 2);
  EXPECT_EQ(record->num_tokens(), 4 + 2 + 2);  // image, question, answer; the end token is not computed
  AnswerRequest replays = request_of("hi");
  replays.sampling.replay_routing = record;
  EXPECT_EQ(read(*service_->submit(replays)).text, "hi");
  RoutingRecord other = *record;
  other.num_layers = 4;
  replays.sampling.replay_routing = std::make_shared<const RoutingRecord>(other);
  const int prepared = engine.num_prepared();
  EXPECT_EQ(refusal(replays).field(), "routing");
  EXPECT_EQ(engine.num_prepared(), prepared) << "refused before the image is decoded";
}

TEST_F(AnswerServiceTest, AFullQueueRefusesBeforeTheImageIsDecoded) {
  start({.planner = {.max_batch = 1}, .queue = {.max_requests = 2, .max_tokens = 1000}});
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  auto running = service_->submit(request_of("a"));
  engine.wait_until_blocked();
  auto first = service_->submit(request_of("b"));
  auto second = service_->submit(request_of("c"));
  EXPECT_EQ(engine.num_prepared(), 3);
  const Error error = refusal(request_of("d"));
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_EQ(error.reason(), Reason::kQueueFull);
  EXPECT_EQ(engine.num_prepared(), 3);
  EXPECT_GE(service_->retry_after_seconds(), 1);
  const std::string text = service_->metrics_text();
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_rejected_total{reason=\"queue_full\"} 1"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_queue_depth 2"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_queue_tokens 10"));
  EXPECT_THAT(text, HasSubstr("sparsefusion_requests_inflight{state=\"waiting\"} 2"));
  engine.release_steps();
  EXPECT_EQ(read(*running).text + read(*first).text + read(*second).text, "abc");
}

TEST_F(AnswerServiceTest, AKeyThatFloodsNeitherFillsTheQueueNorGoesFirst) {
  start({.planner = {.max_batch = 1}, .queue = {.max_requests = 16, .max_tokens = 10'000}});
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  const auto request_by = [](const std::string& tenant, const std::string& question) {
    AnswerRequest request = request_of(question);
    request.tenant = tenant;
    return request;
  };
  auto running = service_->submit(request_by("flood", "x"));
  engine.wait_until_blocked();
  std::vector<std::shared_ptr<ResponseStream>> flood;
  for (int i = 0; i < 14; ++i) flood.push_back(service_->submit(request_by("flood", "x")));
  EXPECT_EQ(refusal(request_by("flood", "x")).reason(), Reason::kQueueFull);
  auto calm = service_->submit(request_by("calm", "calm"));
  engine.release_steps();
  EXPECT_EQ(read(*running).text, "x");
  EXPECT_EQ(read(*calm).text, "calm");
  for (const auto& stream : flood) EXPECT_EQ(read(*stream).text, "x");
  // After the two steps of the first "x" comes the calm one's prompt, though fourteen came before it: an image and
  // four bytes of question.
  EXPECT_EQ(engine.plans().at(2).items.at(0).num_tokens, 4 + 4);
}

TEST_F(AnswerServiceTest, ABatchIsAdmittedWholeOrNotAtAll) {
  start({.planner = {.max_batch = 1}, .queue = {.max_requests = 4, .max_tokens = 1000}});
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  auto running = service_->submit(request_of("a"));
  engine.wait_until_blocked();
  const auto batch_of = [](const std::string& image) {
    return [image](size_t i) { return request_of(std::string(1, static_cast<char>('b' + i)), i == 1 ? image : "IMG"); };
  };
  EXPECT_THROW(service_->submit_batch(5, batch_of("IMG")), Error);
  EXPECT_EQ(engine.num_prepared(), 1) << "no image of a batch that is refused is decoded";
  auto streams = service_->submit_batch(4, batch_of("IMG"));
  engine.release_steps();
  EXPECT_EQ(read(*running).text, "a");
  std::string text;
  for (const auto& stream : streams) text += read(*stream).text;
  EXPECT_EQ(text, "bcde");
  EXPECT_THROW(service_->submit_batch(3, batch_of("IMG broken")), Error);
  running.reset();
  streams.clear();
  EXPECT_TRUE(service_->wait_idle(5));
}

TEST_F(AnswerServiceTest, BatchesThatComeTogetherDoNotRefuseEachOther) {
  start({.planner = {.max_batch = 4}, .queue = {.max_requests = 16, .max_tokens = 100'000}});
  publish(1);
  std::atomic<int> num_answered{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&] {
      for (int round = 0; round < 50;) {
        try {
          for (const auto& stream : service_->submit_batch(12, [](size_t) { return request_of("x"); })) read(*stream);
          ++round;
          ++num_answered;
        } catch (const Error& error) {
          // One of the others has the places, and so gets on.
          EXPECT_EQ(error.reason(), Reason::kQueueFull);
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_answered, 400);
}

TEST_F(AnswerServiceTest, ABatchIsOfOneVersionWhateverIsPublishedMeanwhile) {
  start({.planner = {}, .queue = {.max_requests = 1000, .max_tokens = 1'000'000}});
  FakeSource source;
  source.add(1);
  Reloader reloader({}, source, slot_, serving_, [](const ReloadEvent&) {});
  ASSERT_TRUE(reloader.poll_once());
  int64_t next = 2;
  const auto streams = service_->submit_batch(6, [&](size_t) {
    source.add(next++);
    EXPECT_TRUE(reloader.poll_once());
    return request_of("version?");
  });
  for (const auto& stream : streams) EXPECT_EQ(read(*stream).text, "v1");
}

TEST_F(AnswerServiceTest, ABrokenImageGivesItsPlaceBack) {
  start({.planner = {}, .queue = {.max_requests = 1, .max_tokens = 1000}});
  publish(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(refusal(request_of("q", "IMG broken")).code(), Code::kInvalidArgument);
  EXPECT_EQ(slot_.current()->scheduler().queue_load().requests, 0);
  EXPECT_TRUE(service_->wait_idle(0));
}

TEST_F(AnswerServiceTest, ATimeoutIsNeverLongerThanTheServers) {
  start({}, {.request_timeout_s = 10});
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  AnswerRequest patient = request_of("aaaa");
  patient.timeout_ms = 1'000'000'000'000;
  auto stream = service_->submit(std::move(patient));
  engine.wait_until_blocked();
  clock_.advance(10);
  engine.release_steps();
  EXPECT_EQ(read(*stream).code, Code::kDeadlineExceeded);
}

TEST_F(AnswerServiceTest, AStalledEngineIsNotLive) {
  start({}, {.stall_limit_s = 30});
  FakeEngine& engine = publish(1);
  clock_.advance(1000);
  EXPECT_TRUE(service_->health().live) << "idle is healthy";
  engine.hold_steps();
  auto stream = service_->submit(request_of("q"));
  engine.wait_until_blocked();
  clock_.advance(31);
  EXPECT_FALSE(service_->health().live);
  engine.release_steps();
  read(*stream);
}

TEST_F(AnswerServiceTest, DrainFinishesWhatWasAdmittedAndRefusesTheRest) {
  start();
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  auto stream = service_->submit(request_of("hello"));
  engine.wait_until_blocked();
  service_->drain();
  EXPECT_FALSE(service_->health().ready);
  EXPECT_TRUE(service_->health().live);
  EXPECT_EQ(refusal(request_of("late")).reason(), Reason::kDraining);
  EXPECT_FALSE(service_->wait_idle(0)) << "one is still being answered";
  engine.release_steps();
  EXPECT_EQ(read(*stream).text, "hello");
  EXPECT_TRUE(service_->wait_idle(60));
}

TEST_F(AnswerServiceTest, AnAbortEndsWhatADrainDidNot) {
  start();
  FakeEngine& engine = publish(1);
  engine.hold_steps();
  auto stream = service_->submit(request_of("hello"));
  engine.wait_until_blocked();
  service_->drain();
  service_->abort();
  engine.release_steps();
  EXPECT_EQ(read(*stream).code, Code::kUnavailable);
  EXPECT_TRUE(service_->wait_idle(60));
}

TEST_F(AnswerServiceTest, AnAbandonedStreamDoesNotHoldUpADrain) {
  start();
  publish(1);
  service_->submit(request_of("hello"))->cancel();
  service_->drain();
  EXPECT_TRUE(service_->wait_idle(60));
}

TEST_F(AnswerServiceTest, LogsIdsTokensAndTimingsButNoPromptAndNoImage) {
  start();
  publish(3);
  auto stream = service_->submit(request_of("secret question"));
  const Answer answer = read(*stream);
  service_->record_finished("rest", "200", "id-1", 3, &answer.summary, 0.25);
  service_->record_rejected("grpc", "INVALID_ARGUMENT", "invalid_argument", "id-\xff");
  EXPECT_THAT(lines(), ::testing::Not(HasSubstr("secret")));
  const auto line = nlohmann::json::parse(lines_.at(0));
  EXPECT_EQ(line.at("id"), "id-1");
  EXPECT_EQ(line.at("version"), 3);
  EXPECT_EQ(line.at("tokens").at("prompt"), 19);
  EXPECT_EQ(line.at("tokens").at("image"), 4);
  EXPECT_EQ(line.at("timings").size(), 5u);
  EXPECT_EQ(line.at("duration_ms"), 250);
  EXPECT_EQ(nlohmann::json::parse(lines_.at(1)).at("reason"), "invalid_argument");
  EXPECT_THAT(service_->metrics_text(), HasSubstr("sparsefusion_requests_total{api=\"rest\",code=\"200\"} 1"));
  EXPECT_THAT(service_->metrics_text(),
              HasSubstr("sparsefusion_requests_total{api=\"grpc\",code=\"INVALID_ARGUMENT\"} 1"));
}

TEST_F(AnswerServiceTest, LogsTheTraceOfARequestThatHasOne) {
  start();
  const TraceContext trace = continue_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  service_->record_finished("rest", "200", {"id-1", trace}, 3, nullptr, 0.25);
  service_->record_rejected("grpc", "INVALID_ARGUMENT", "invalid_argument", {"id-2", trace});
  service_->record_finished("rest", "200", "id-3", 3, nullptr, 0.25);
  for (size_t i = 0; i < 2; ++i) {
    const auto line = nlohmann::json::parse(lines_.at(i));
    EXPECT_EQ(line.at("trace_id"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(line.at("span_id"), trace.span_id);
    EXPECT_EQ(line.at("parent_span_id"), "b7ad6b7169203331");
  }
  EXPECT_FALSE(nlohmann::json::parse(lines_.at(2)).contains("trace_id"));
}

TEST_F(AnswerServiceTest, ReloadsUnderLoadFailNoRequestAndMixNoVersions) {
  start({.planner = {}, .queue = {.max_requests = 1000, .max_tokens = 1'000'000}});
  FakeSource source;
  source.add(1);
  Reloader reloader({}, source, slot_, serving_, [](const ReloadEvent&) {});
  ASSERT_TRUE(reloader.poll_once());

  std::atomic<bool> stop{false};
  std::atomic<int> num_answers{0}, num_wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      int64_t last_version = 0;
      while (!stop) {
        auto stream = service_->submit(request_of("version?"));
        const Answer answer = read(*stream);
        const bool right = answer.code == Code::kOk && answer.text == concat("v", stream->model_version()) &&
                           stream->model_version() >= last_version;
        last_version = stream->model_version();
        if (!right) ++num_wrong;
        ++num_answers;
      }
    });
  }
  for (int64_t version = 2; version <= 20; ++version) {
    source.add(version);
    ASSERT_TRUE(reloader.poll_once());
    const int before = num_answers;
    while (num_answers < before + 20) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_wrong, 0);
  EXPECT_EQ(slot_.current()->version, 20);
  slot_.wait_for_live(1);
  EXPECT_THAT(service_->metrics_text(), HasSubstr("sparsefusion_model_versions_live 1"));
}

TEST_F(AnswerServiceTest, ManyClientsLeaveAtRandomAndNothingIsLeftBehind) {
  start({.planner = {.max_batch = 4}, .queue = {.max_requests = 1000, .max_tokens = 1'000'000}});
  FakeEngine& engine = publish(1);
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int n = 0; n < 40; ++n) {
        auto stream = service_->submit(request_of(std::string(static_cast<size_t>(1 + (i * 7 + n * 3) % 30), 'x')));
        for (int events = (i + n) % 5; events > 0; --events) {
          if (stream->next().finished) break;
        }
        stream->cancel();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(service_->wait_idle(60));
  EXPECT_EQ(read(*service_->submit(request_of("last"))).text, "last");
  // The last answer may be read before the step that ended it has returned.
  while (engine.num_sequences() > 0) std::this_thread::yield();
  EXPECT_EQ(slot_.current()->scheduler().queue_load().requests, 0);
}

// Submits on a thread of its own, and keeps the outcome.
class Submitted {
 public:
  Submitted(AnswerService& service, AnswerRequest request)
      : thread_([this, &service, request = std::move(request)]() mutable {
          try {
            code_ = read(*service.submit(std::move(request))).code;
          } catch (const Error& error) {
            code_ = error.code();
          }
        }) {}
  ~Submitted() { wait(); }
  Code wait() {
    if (thread_.joinable()) thread_.join();
    return code_;
  }

 private:
  Code code_ = Code::kUnknown;
  std::thread thread_;
};

TEST_F(AnswerServiceTest, ATenantsImageWaitsForOneOfAnothersAndNoMore) {
  start({}, {.decode_threads = 1});
  FakeEngine& engine = publish(1);
  engine.hold_prepares();
  const auto of = [](const std::string& tenant) {
    AnswerRequest request = request_of("q");
    request.tenant = tenant;
    return request;
  };
  std::vector<std::unique_ptr<Submitted>> flood;
  for (int i = 0; i < 10; ++i) flood.push_back(std::make_unique<Submitted>(*service_, of("a")));
  while (!engine.is_preparing()) std::this_thread::yield();
  Submitted other(*service_, of("b"));
  while (slot_.current()->scheduler().queue_load().requests < 11) std::this_thread::yield();
  while (service_->num_waiting_to_decode() < 10) std::this_thread::yield();
  engine.allow_prepares(2);
  EXPECT_EQ(other.wait(), Code::kOk);
  EXPECT_EQ(engine.num_prepared(), 2);
  engine.allow_prepares(9);
  for (auto& one : flood) EXPECT_EQ(one->wait(), Code::kOk);
}

TEST_F(AnswerServiceTest, AClientThatLeavesOrADeadlineEndsTheDecodeAndTheWaitForIt) {
  start({}, {.decode_threads = 1});
  FakeEngine& engine = publish(1);
  engine.hold_prepares();
  std::atomic<bool> first_left{false}, second_left{false};
  AnswerRequest request = request_of("q");
  request.is_unwanted = [&] { return first_left.load(); };
  Submitted first(*service_, request);
  while (!engine.is_preparing()) std::this_thread::yield();
  request.is_unwanted = [&] { return second_left.load(); };
  Submitted second(*service_, request);
  while (service_->num_waiting_to_decode() < 1) std::this_thread::yield();
  second_left = true;
  EXPECT_EQ(second.wait(), Code::kCancelled) << "while the first is decoded";
  first_left = true;
  EXPECT_EQ(first.wait(), Code::kCancelled);

  request.is_unwanted = nullptr;
  Submitted third(*service_, request);
  while (!engine.is_preparing()) std::this_thread::yield();
  clock_.advance(61);
  EXPECT_EQ(third.wait(), Code::kDeadlineExceeded);
  EXPECT_EQ(slot_.current()->scheduler().queue_load().requests, 0);
}

TEST_F(AnswerServiceTest, LogsWhereARequestCameFromAndWhatOfItWasWrong) {
  start();
  const RequestOrigin origin{
      .method = "POST", .route = "/v1/answer", .path = "", .client_address = "192.0.2.7", .key_name = "alice"};
  service_->record_rejected("rest", "400", "invalid_argument", {"id-1", {}, origin, "top_p"});
  service_->record_finished("rest", "200", {"id-2", {}, origin}, 3, nullptr, 0.25);
  service_->log_request({.request_id = "id-3", .api = "rest", .code = "200", .origin = origin});
  for (const std::string& text : lines_) {
    const auto line = nlohmann::json::parse(text);
    EXPECT_EQ(line.at("method"), "POST");
    EXPECT_EQ(line.at("route"), "/v1/answer");
    EXPECT_EQ(line.at("client_address"), "192.0.2.7");
    EXPECT_EQ(line.at("key"), "alice");
    EXPECT_FALSE(line.contains("path"));
  }
  ASSERT_EQ(lines_.size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(lines_[0]).at("field"), "top_p");
  EXPECT_FALSE(nlohmann::json::parse(lines_[1]).contains("field"));
  EXPECT_THAT(service_->metrics_text(), HasSubstr("sparsefusion_requests_total{api=\"rest\",code=\"200\"} 1"))
      << "what is only logged is not counted";
}

TEST(RequestLogTest, WhatAClientChoseIsCut) {
  const std::string long_text(1 << 20, 'x');
  const RequestOrigin origin{.method = long_text, .route = "", .path = long_text, .client_address = "", .key_name = ""};
  const std::string line =
      request_log_line({.request_id = "id", .api = "rest", .code = "404", .origin = origin, .field = long_text});
  EXPECT_LT(line.size(), 1000u);
}

TEST(RequestLogTest, BadBytesStayValidJson) {
  EXPECT_NO_THROW(nlohmann::json::parse(request_log_line({.request_id = "\xff\"\n", .api = "rest", .code = "400"})));
  // A character that the cut would split.
  EXPECT_NO_THROW(nlohmann::json::parse(request_log_line(
      {.request_id = "id", .api = "rest", .code = "400", .field = std::string(127, 'x') + "\xc3\xa4"})));
  EXPECT_NO_THROW(nlohmann::json::parse(failure_log_line("\xc3", "what \x80")));
}

}  // namespace
}  // namespace sf::server
