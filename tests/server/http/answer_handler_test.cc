// The seam under the three REST APIs, with a presenter that writes plain words and no socket.
#include "server/http/answer_handler.h"

#include <gtest/gtest.h>

#include "tests/support/fake_service.h"

namespace sf::server {
namespace {

class WordsPresenter final : public Presenter {
 public:
  explicit WordsPresenter(EventFormat format) : format_(format) {}

  std::vector<std::string> ends;  // of on_end
  bool throws = false;            // where the answer is written

  void on_submitted(int64_t model_version) override { version_ = model_version; }
  Error in_words(const Error& error) const override { return Error(error.code(), "in words", error.field()); }
  void write_whole(httplib::Response& response, const std::vector<WholeAnswer>& answers, const Summary&) override {
    if (throws) throw std::runtime_error("secret");
    std::string text = "version " + std::to_string(version_) + ":";
    for (const WholeAnswer& answer : answers) text += " " + answer.text;
    response.set_content(text, "text/plain");
  }
  EventFormat event_format() const override { return format_; }
  std::vector<std::string> opening_events() override { return {"open"}; }
  std::vector<std::string> events_of(size_t index, Event event) override {
    return {std::to_string(index) + (event.finished ? " ends" : " " + event.text)};
  }
  std::vector<std::string> closing_events(const Summary&) override { return {"close"}; }
  void on_end(const Summary* total, size_t num_answers) override {
    ends.push_back((total ? "answered " : "failed ") + std::to_string(num_answers));
  }

 private:
  const EventFormat format_;
  int64_t version_ = 0;
};

class AnswerHandlerTest : public testing::Test {
 protected:
  AnswerHandlerTest() {
    options.poll_interval_ms = 1;
    request.path = "/v1/answer";
    request.is_connection_closed = [this] { return client_left; };
  }

  void serve(bool streamed, size_t num_streams = 1) {
    handler.serve("rest", request, response, [&](const HttpCall&, const IsUnwanted& is_unwanted) {
      if (read_error) std::rethrow_exception(read_error);
      return PreparedAnswer{.presenter = presenter,
                            .submit = [&, is_unwanted] { return submit(num_streams, is_unwanted); },
                            .streamed = streamed};
    });
  }
  // What the connection writes of a streamed response, at most `max_writes` events of it; then the client is gone.
  std::string events(size_t max_writes = 100) {
    std::string text;
    bool done = false;
    size_t num_writes = 0;
    httplib::DataSink sink;
    sink.write = [&](const char* data, size_t size) {
      text.append(data, size);
      ++num_writes;
      return true;
    };
    sink.is_writable = [&] { return !client_left; };
    sink.done = [&] { done = true; };
    while (!done && num_writes < max_writes && response.content_provider_(0, 0, sink)) {
    }
    response.content_provider_resource_releaser_(done);
    response.content_provider_resource_releaser_ = nullptr;
    return text;
  }
  AnswerStreams submit(size_t num_streams, const IsUnwanted& is_unwanted) {
    return service.submit_batch(num_streams, [&](size_t) {
      AnswerRequest asked;
      asked.messages.push_back({"user", {}});
      asked.is_unwanted = is_unwanted;
      return asked;
    });
  }
  void TearDown() override { response = {}; }  // before the handler goes
  FakeRecord finished() { return service.wait_for_finished(1).at(0); }

  HttpOptions options;
  FakeService service;
  httplib::Request request;
  httplib::Response response;
  std::shared_ptr<WordsPresenter> presenter = std::make_shared<WordsPresenter>(EventFormat{});
  std::exception_ptr read_error;
  bool client_left = false, stopping = false;
  AnswerHandler handler{options, service, [this] { return stopping; }};
};

TEST_F(AnswerHandlerTest, WritesAWholeAnswer) {
  service.deltas = {"red", " circle"};
  serve(/*streamed=*/false, 2);
  EXPECT_EQ(response.body, "version 3: red circle red circle");
  EXPECT_EQ(response.get_header_value("X-Model-Version"), "3");
  EXPECT_EQ(finished().code, "200");
  EXPECT_TRUE(finished().has_summary);
  EXPECT_EQ(presenter->ends, std::vector<std::string>{"answered 2"});
}

TEST_F(AnswerHandlerTest, WritesAStreamWithItsOpeningAndEnd) {
  service.deltas = {"red"};
  serve(/*streamed=*/true);
  EXPECT_EQ(events(), "data: open\n\ndata: 0 red\n\ndata: 0 ends\n\ndata: close\n\ndata: [DONE]\n\n");
  EXPECT_EQ(finished().code, "200");
  EXPECT_EQ(service.wait_for_cancelled(0), 0);
  EXPECT_EQ(presenter->ends, std::vector<std::string>{"answered 1"});
}

TEST_F(AnswerHandlerTest, TakesTheEventsOfSeveralStreamsInTurn) {
  service.deltas = {"a"};
  presenter = std::make_shared<WordsPresenter>(EventFormat{.pings = true, .done_event = false});
  serve(/*streamed=*/true, 2);
  EXPECT_EQ(events(), "data: open\n\ndata: 0 a\n\ndata: 0 ends\n\ndata: 1 a\n\ndata: 1 ends\n\ndata: close\n\n");
}

TEST_F(AnswerHandlerTest, AnErrorBeforeTheFirstEventIsAStatus) {
  service.deltas = {};
  service.stream_error = Error(Code::kDeadlineExceeded, "too late");
  serve(/*streamed=*/true, 2);
  EXPECT_EQ(response.status, 504);
  EXPECT_EQ(response.get_header_value("Content-Type"), "application/json");
  EXPECT_FALSE(response.content_provider_);
  EXPECT_EQ(finished().code, "504");
  EXPECT_EQ(finished().model_version, 3);
  EXPECT_EQ(service.wait_for_cancelled(1), 1);  // the other one
  EXPECT_EQ(presenter->ends, std::vector<std::string>{"failed 0"});
}

TEST_F(AnswerHandlerTest, AnErrorAfterTheFirstEventIsAnEvent) {
  service.stream_error = Error(Code::kDeadlineExceeded, "too late");
  serve(/*streamed=*/true, 2);
  EXPECT_NE(response.status, 504);
  const std::string text = events();
  EXPECT_NE(text.find("deadline_exceeded"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("data: [DONE]\n\n")) << text;
  EXPECT_EQ(text.find("close"), std::string::npos);
  EXPECT_EQ(finished().code, "504");
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
}

TEST_F(AnswerHandlerTest, AClientThatLeavesIsCancelledOnce) {
  service.hang_before_text = true;
  for (const bool streamed : {false, true}) {
    client_left = true;
    response = {};
    serve(streamed);
    EXPECT_EQ(response.status, 499);
  }
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
  const std::vector<FakeRecord> records = service.wait_for_finished(2);
  ASSERT_EQ(records.size(), 2u);
  for (const FakeRecord& record : records) EXPECT_EQ(record.code, "499");
  EXPECT_EQ(presenter->ends.size(), 2u);
}

TEST_F(AnswerHandlerTest, AClientThatLeavesAfterTextIsCancelledOnce) {
  service.hang_after_text = true;
  serve(/*streamed=*/true);
  EXPECT_EQ(events(/*max_writes=*/2), "data: open\n\ndata: 0 circle\n\n");
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).size(), 1u);
  EXPECT_EQ(finished().code, "499");
  EXPECT_EQ(presenter->ends, std::vector<std::string>{"failed 1"});
}

TEST_F(AnswerHandlerTest, AStreamEndsWhenItsClientOrTheServerIsGoing) {
  service.hang_after_text = true;
  for (bool* const going : {&client_left, &stopping}) {
    response = {};
    serve(/*streamed=*/true);
    *going = true;
    EXPECT_EQ(events(), "data: open\n\ndata: 0 circle\n\n");
    *going = false;
  }
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
}

TEST_F(AnswerHandlerTest, AServerThatStopsAnswers503) {
  service.hang_before_text = true;
  stopping = true;
  for (const bool streamed : {false, true}) {
    response = {};
    serve(streamed);
    EXPECT_EQ(response.status, 503);
  }
  service.submit_error = Error(Code::kCancelled, "the client closed the connection");
  response = {};
  serve(/*streamed=*/false);
  EXPECT_EQ(response.status, 503);
}

TEST_F(AnswerHandlerTest, OnlyAStreamWithPingsStartsWithoutAnEvent) {
  service.hang_before_text = true;
  options.ping_interval_ms = 3;
  serve(/*streamed=*/true);
  ASSERT_TRUE(response.content_provider_);
  EXPECT_EQ(events(/*max_writes=*/3), "data: open\n\n: ping\n\n: ping\n\n");
  presenter = std::make_shared<WordsPresenter>(EventFormat{.pings = false, .done_event = true});
  response = {};
  request.is_connection_closed = [polls = 0]() mutable { return ++polls > 10; };  // well beyond a ping's time
  serve(/*streamed=*/true);
  EXPECT_EQ(response.status, 499);
}

TEST_F(AnswerHandlerTest, WhatReadingThrowsIsRefused) {
  const std::pair<std::exception_ptr, int> cases[] = {
      {std::make_exception_ptr(invalid_argument("seed", "seed: bad")), 400},
      {std::make_exception_ptr(Error(Code::kResourceExhausted, "big", "", Reason::kTooLarge)), 413},
      {std::make_exception_ptr(std::runtime_error("secret")), 500},
      {std::make_exception_ptr(1), 500}};
  for (const auto& [error, status] : cases) {
    read_error = error;
    response = {};
    serve(/*streamed=*/false);
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.body.find("secret"), std::string::npos);
  }
  EXPECT_EQ(service.wait_for_rejected(4).size(), 4u);
  EXPECT_TRUE(service.finished().empty());
  EXPECT_TRUE(service.requests().empty());
  EXPECT_TRUE(presenter->ends.empty());
}

TEST_F(AnswerHandlerTest, WhatTheServiceThrowsIsSaidInThePresentersWords) {
  service.submit_error = Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull);
  serve(/*streamed=*/true);
  EXPECT_EQ(response.status, 429);
  EXPECT_NE(response.body.find("in words"), std::string::npos);
  EXPECT_EQ(response.get_header_value("Retry-After"), "7");
  EXPECT_EQ(finished().code, "429");
  EXPECT_EQ(presenter->ends, std::vector<std::string>{"failed 0"});
  EXPECT_TRUE(service.rejected().empty());
}

TEST_F(AnswerHandlerTest, WhatWritingThrowsCancelsTheStreams) {
  presenter->throws = true;
  serve(/*streamed=*/false, 2);
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
  EXPECT_EQ(finished().code, "500");
}

TEST_F(AnswerHandlerTest, WorkWithoutAStreamHasTheSameLadder) {
  const auto run = [&](const std::function<int64_t()>& work) {
    response = {};
    handler.serve_work("rest", request, response, [&](const HttpCall&, const IsUnwanted&) { return work; });
    return service.finished().back();
  };
  EXPECT_EQ(run([] { return 5; }).model_version, 5);
  EXPECT_EQ(run([]() -> int64_t { throw std::runtime_error("secret"); }).code, "500");
  EXPECT_EQ(run([]() -> int64_t { throw Error(Code::kCancelled, "left"); }).code, "499");
  stopping = true;
  EXPECT_EQ(run([]() -> int64_t { throw Error(Code::kCancelled, "left"); }).code, "503");
  handler.serve_work("rest", request, response, [](const HttpCall&, const IsUnwanted&) -> AnswerHandler::Work {
    throw invalid_argument("seed", "seed: bad");
  });
  EXPECT_EQ(service.rejected().size(), 1u);
}

}  // namespace
}  // namespace sf::server
