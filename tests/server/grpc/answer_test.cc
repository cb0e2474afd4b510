#include <cmath>

#include "tests/server/grpc/grpc_fixture.h"

namespace sf::server {
namespace {

class GrpcAnswerTest : public GrpcFixture {};

TEST_F(GrpcAnswerTest, AnswersWithTheWholeMessage) {
  service.deltas = {"red", " circle"};
  start();
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "my-id.1");
  wire::AnswerResponse response;
  ASSERT_TRUE(stub->Answer(&context, question(), &response).ok());
  EXPECT_EQ(response.id(), "my-id.1");
  EXPECT_EQ(response.answer(), "red circle");
  EXPECT_EQ(response.model(), "sparsefusion");
  EXPECT_EQ(response.model_version(), 3);
  EXPECT_EQ(response.finish_reason(), wire::FINISH_REASON_STOP);
  EXPECT_EQ(response.usage().image_tokens(), 9);
  EXPECT_EQ(response.usage().prompt_tokens(), 20);
  EXPECT_EQ(response.usage().completion_tokens(), 2);
  EXPECT_EQ(response.usage().cached_tokens(), 2);
  EXPECT_EQ(response.moe().assigned_tokens(), 40u);
  EXPECT_EQ(response.moe().overflow_tokens(), 1u);
  EXPECT_EQ(response.timings().total_ms(), 6.75);
  const auto& metadata = context.GetServerInitialMetadata();
  ASSERT_EQ(metadata.count("x-request-id"), 1u);
  EXPECT_EQ(metadata.find("x-request-id")->second, "my-id.1");
  ASSERT_EQ(metadata.count("x-model-version"), 1u);
  EXPECT_EQ(metadata.find("x-model-version")->second, "3");
  const auto finished = service.wait_for_finished(1);
  EXPECT_EQ(finished.at(0).api, "grpc");
  EXPECT_EQ(finished.at(0).code, "OK");
  EXPECT_TRUE(finished.at(0).has_summary);
}

TEST_F(GrpcAnswerTest, RecordsTheRoutingAndTakesItBack) {
  start();
  wire::AnswerRequest request = question();
  request.set_record_routing(true);
  grpc::ClientContext context;
  wire::AnswerResponse response;
  ASSERT_TRUE(stub->Answer(&context, request, &response).ok());
  EXPECT_EQ(response.routing().layers(), 1);
  EXPECT_EQ(response.routing().top_k(), 2);
  EXPECT_EQ(response.routing().ids(), std::string("\3\0\2\1\0\0\1\0", 8));
  EXPECT_EQ(response.routing().gates().size(), 16u);
  *request.mutable_replay_routing() = response.routing();
  ASSERT_TRUE(ask(request).ok());
  const AnswerRequest seen = service.requests().at(1);
  EXPECT_FALSE(seen.sampling.record_routing);
  ASSERT_TRUE(seen.sampling.replay_routing);
  EXPECT_EQ(seen.sampling.replay_routing->ids, (std::vector<uint16_t>{3, 258, 0, 1}));
  request.mutable_replay_routing()->set_ids("odd");
  EXPECT_EQ(ask(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcAnswerTest, ChoicesComeBackWithTheirProbabilities) {
  start();
  wire::AnswerRequest request = question();
  request.add_choices("circle");
  EXPECT_EQ(ask(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.add_choices("square");
  grpc::ClientContext context, streaming;
  wire::AnswerResponse response;
  ASSERT_TRUE(stub->Answer(&context, request, &response).ok());
  EXPECT_EQ(response.answer(), "square");
  ASSERT_EQ(response.choices_size(), 2);
  EXPECT_EQ(response.choices(0).text(), "circle");
  EXPECT_EQ(response.choices(0).probability(), 0.5);
  const auto reader = stub->StreamAnswer(&streaming, request);
  wire::StreamAnswerResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.delta(), "square");
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.answer().choices_size(), 2);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcAnswerTest, PassesEveryParameterOn) {
  start();
  wire::AnswerRequest request = question();
  request.set_max_tokens(5);
  request.set_temperature(0.5f);
  request.set_top_p(0.25f);
  request.set_top_k(7);
  request.set_seed(18446744073709551615u);
  request.add_stop("x");
  request.set_priority(wire::PRIORITY_BATCH);
  request.set_timeout_ms(1234);
  request.set_model("sparsefusion");
  ASSERT_TRUE(ask(request).ok());
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.api, "grpc");
  EXPECT_EQ(seen.messages.at(0).parts.at(0).data, "picture");
  EXPECT_EQ(seen.messages.at(0).parts.at(1).data, "what shape?");
  EXPECT_EQ(seen.sampling.max_tokens, 5);
  EXPECT_EQ(seen.sampling.temperature, 0.5f);
  EXPECT_EQ(seen.sampling.top_p, 0.25f);
  EXPECT_EQ(seen.sampling.top_k, 7);
  EXPECT_EQ(seen.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(seen.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(seen.priority, Priority::kBatch);
  EXPECT_EQ(seen.timeout_ms, 1234);
  EXPECT_EQ(seen.model, "sparsefusion");
}

TEST_F(GrpcAnswerTest, LeavesDefaultsToTheService) {
  start();
  ASSERT_TRUE(ask(question()).ok());
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.sampling.max_tokens, 256);
  EXPECT_LT(seen.sampling.temperature, 0);
  EXPECT_EQ(seen.timeout_ms, 0);
  EXPECT_EQ(seen.priority, Priority::kInteractive);
}

TEST_F(GrpcAnswerTest, TakesTheCallsDeadlineAsTimeout) {
  start();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(50));
  wire::AnswerResponse response;
  ASSERT_TRUE(stub->Answer(&context, question(), &response).ok());
  const int64_t timeout_ms = service.requests().at(0).timeout_ms;
  EXPECT_GT(timeout_ms, 0);
  // The wire rounds a deadline up to three digits of its unit: 50 s travels as up to 50.1 s.
  EXPECT_LE(timeout_ms, 50100);
}

TEST_F(GrpcAnswerTest, StreamsDeltasThenTheAnswer) {
  service.deltas = {"red", "", " gr\xc3\xbcn"};
  start();
  grpc::ClientContext context;
  const auto reader = stub->StreamAnswer(&context, question());
  std::vector<wire::StreamAnswerResponse> events;
  for (wire::StreamAnswerResponse event; reader->Read(&event);) events.push_back(event);
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].delta(), "red");
  EXPECT_EQ(events[1].delta(), " gr\xc3\xbcn");
  EXPECT_EQ(events[2].answer().answer(), "red gr\xc3\xbcn");
  EXPECT_EQ(events[2].answer().usage().prompt_tokens(), 20);
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-model-version"), 1u);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "OK");
}

TEST_F(GrpcAnswerTest, AModelOfTextAloneIsAskedWithoutAImage) {
  service.reads_images = false;
  start();
  wire::AnswerRequest request = question();
  request.clear_image();
  EXPECT_TRUE(ask(request).ok());
  ASSERT_EQ(service.requests().size(), 1u);
  EXPECT_EQ(service.requests()[0].messages.at(0).parts.size(), 1u);
}

TEST_F(GrpcAnswerTest, NamesTheFieldThatIsWrong) {
  start();
  const auto with = [](const std::function<void(wire::AnswerRequest&)>& change) {
    wire::AnswerRequest request = question();
    change(request);
    return request;
  };
  const std::pair<const char*, wire::AnswerRequest> cases[] = {
      {"image", with([](auto& r) { r.clear_image(); })},
      {"question", with([](auto& r) { r.clear_question(); })},
      {"question", with([](auto& r) { r.set_question(" "); })},
      {"max_tokens", with([](auto& r) { r.set_max_tokens(0); })},
      {"temperature", with([](auto& r) { r.set_temperature(-1); })},
      {"temperature", with([](auto& r) { r.set_temperature(NAN); })},
      {"top_p", with([](auto& r) { r.set_top_p(0); })},
      {"top_k", with([](auto& r) { r.set_top_k(-2); })},
      {"stop", with([](auto& r) { r.add_stop(""); })},
      {"timeout_ms", with([](auto& r) { r.set_timeout_ms(0); })},
      {"priority", with([](auto& r) { r.set_priority(static_cast<wire::Priority>(9)); })}};
  for (const auto& [field, request] : cases) {
    const grpc::Status status = ask(request);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << field;
    EXPECT_EQ(bad_field(status), field);
    EXPECT_NE(status.error_message().find(field), std::string::npos);
  }
  EXPECT_TRUE(service.requests().empty());
  EXPECT_EQ(service.wait_for_rejected(std::size(cases)).at(0).code, "INVALID_ARGUMENT");
}

TEST_F(GrpcAnswerTest, CallsTornMessagesAndBrokenTextTheCallersFault) {
  start();
  const grpc::Status torn = ask_raw("\x0a\xff\xff\xff\x7fshort");
  EXPECT_EQ(torn.error_code(), grpc::INVALID_ARGUMENT);
  const grpc::Status text = ask_raw(std::string("\x0a\x01p\x12\x02\xff\xfe"));  // image "p", question FF FE
  EXPECT_EQ(text.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(bad_field(text), "question");
  const grpc::Status stop = ask_raw(std::string("\x0a\x01p\x12\x01q\x42\x01\xff"));
  EXPECT_EQ(bad_field(stop), "stop");
  EXPECT_TRUE(ask(question()).ok());
}

TEST_F(GrpcAnswerTest, MapsTheServicesErrors) {
  const std::tuple<Error, grpc::StatusCode, bool> cases[] = {
      {Error(Code::kInvalidArgument, "image: truncated", "image"), grpc::INVALID_ARGUMENT, false},
      {Error(Code::kResourceExhausted, "image: pixels", "image", Reason::kTooLarge), grpc::RESOURCE_EXHAUSTED, false},
      {Error(Code::kResourceExhausted, "queue full", "", Reason::kQueueFull), grpc::RESOURCE_EXHAUSTED, true},
      {Error(Code::kUnavailable, "draining", "", Reason::kDraining), grpc::UNAVAILABLE, true},
      {Error(Code::kDeadlineExceeded, "too late"), grpc::DEADLINE_EXCEEDED, false},
      {Error(Code::kNotFound, "model", "model"), grpc::NOT_FOUND, false},
      {Error(Code::kInternal, "secret"), grpc::INTERNAL, false}};
  start();
  service.deltas = {};
  for (const auto& [error, code, has_retry] : cases) {
    for (const bool at_submit : {true, false}) {
      service.submit_error = at_submit ? std::optional<Error>(error) : std::nullopt;
      service.stream_error = error;
      const grpc::Status unary = ask(question());
      grpc::ClientContext context;
      const auto reader = stub->StreamAnswer(&context, question());
      wire::StreamAnswerResponse event;
      EXPECT_FALSE(reader->Read(&event));
      for (const grpc::Status& status : {unary, reader->Finish()}) {
        EXPECT_EQ(status.error_code(), code) << error.what();
        EXPECT_EQ(status.error_message().find("secret"), std::string::npos);
        EXPECT_EQ(bad_field(status), error.field());
        EXPECT_EQ(details(status).count("RetryInfo"), has_retry ? 1u : 0u);
      }
    }
  }
  sparsefusion::rpc::RetryInfo retry;
  service.submit_error = Error(Code::kUnavailable, "draining", "", Reason::kDraining);
  ASSERT_TRUE(retry.ParseFromString(details(ask(question()))["RetryInfo"]));
  EXPECT_EQ(retry.retry_delay().seconds(), 7);
}

TEST_F(GrpcAnswerTest, HidesUnknownExceptions) {
  service.throw_unknown = true;
  start();
  const grpc::Status status = ask(question());
  EXPECT_EQ(status.error_code(), grpc::INTERNAL);
  EXPECT_EQ(status.error_message().find("secret"), std::string::npos);
}

TEST_F(GrpcAnswerTest, RefusesMessagesOverTheLimit) {
  GrpcOptions options;
  options.limits.max_body_bytes = 1 << 20;
  start(options);
  EXPECT_EQ(ask(question(std::string(2 << 20, 'a'))).error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(ask(question()).ok());
}

TEST_F(GrpcAnswerTest, ReplacesHarmfulRequestIds) {
  start();
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "a%0d%0ab c");
  wire::AnswerResponse response;
  ASSERT_TRUE(stub->Answer(&context, question(), &response).ok());
  EXPECT_EQ(response.id().substr(0, 4), "req-");
}

}  // namespace
}  // namespace sf::server
