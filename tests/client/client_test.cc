#include "client/client.h"

#include <gtest/gtest.h>

#include "server/grpc/grpc_server.h"
#include "server/http/admin_server.h"
#include "server/http/http_server.h"
#include "tests/client/code_of.h"
#include "tests/support/fake_service.h"

namespace sf::client {
namespace {

// Both transports in front of one service: whatever one says the other must say too.
class ClientTest : public testing::TestWithParam<const char*> {
 protected:
  void start() {
    http_.start();
    grpc_.start();
  }
  std::unique_ptr<Client> connect() const {
    return over_grpc() ? make_grpc_client("127.0.0.1:" + std::to_string(grpc_.port()))
                       : make_http_client("http://127.0.0.1:" + std::to_string(http_.port()) + "/");
  }
  bool over_grpc() const { return std::string(GetParam()) == "grpc"; }
  static Question question() { return {.image = std::string("pic\0ture", 8), .question = "what shape?"}; }

  server::FakeService service;

 private:
  server::HttpServer http_{{.port = 0}, service};
  server::GrpcServer grpc_{{.port = 0}, service};
};

TEST_P(ClientTest, AsksAndReadsEveryField) {
  service.deltas = {"red", " circle"};
  start();
  Question asked = question();
  asked.request_id = "my-id";
  const Answer answer = connect()->ask(asked);
  EXPECT_EQ(to_json(answer),
            R"({"id":"my-id","answer":"red circle","model":"sparsefusion","model_version":3,"finish_reason":"stop",)"
            R"("usage":{"image_tokens":9,"prompt_tokens":20,"completion_tokens":2,"cached_tokens":2},)"
            R"("moe":{"assigned_tokens":40,"overflow_tokens":1},)"
            R"("timings":{"queue_ms":0.5,"image_ms":1.25,"prefill_ms":2.0,"decode_ms":3.0,"total_ms":6.75}})");
  EXPECT_EQ(service.requests().at(0).messages.at(0).parts.at(0).data, asked.image);
}

TEST_P(ClientTest, SaysHowLongTheServerAsksToWait) {
  service.submit_error = Error(Code::kResourceExhausted, "the queue is full");
  start();
  try {
    connect()->ask(question());
    FAIL() << "answered";
  } catch (const ClientError& error) {
    EXPECT_EQ(error.code(), "RESOURCE_EXHAUSTED");
    ASSERT_TRUE(error.retry_after_ms());
    EXPECT_GE(*error.retry_after_ms(), 1000);
  }
  try {
    connect()->ask_stream(question(), [](std::string_view) { return true; });
    FAIL() << "answered";
  } catch (const ClientError& error) {
    EXPECT_TRUE(error.retry_after_ms());
  }
}

TEST_P(ClientTest, GivesUpByItselfASecondAfterTheServersDeadline) {
  service.hang_before_text = true;
  start();
  Question asked = question();
  asked.timeout_ms = 1;  // the fake server has no deadlines
  const std::string code = code_of([&] { connect()->ask(asked); });
  EXPECT_TRUE(code == "DEADLINE_EXCEEDED" || code == "UNAVAILABLE") << code;
}

TEST_P(ClientTest, ListsVersions) {
  start();
  const std::vector<ModelVersion> versions = connect()->versions();
  ASSERT_EQ(versions.size(), 3u);
  EXPECT_EQ(versions[1].version, 3);
  EXPECT_EQ(versions[1].state, "served");
  EXPECT_TRUE(versions[1].pinned);
  EXPECT_EQ(versions[1].step, 300);
  EXPECT_EQ(versions[1].digest, "abc");
  EXPECT_EQ(versions[1].score, 0.75);
  EXPECT_EQ(versions[2].reason, "canary");
  EXPECT_FALSE(versions[2].score.has_value());
}

TEST_P(ClientTest, ShowsExperts) {
  start();
  const ExpertTable table = connect()->experts();
  EXPECT_EQ(table.model_version, 3);
  ASSERT_EQ(table.rows.size(), 8u);
  const ExpertRow& row = table.rows[6];
  EXPECT_EQ(row.layer, 1);
  EXPECT_EQ(row.expert, 2);
  EXPECT_EQ(row.image_tokens, 40);
  EXPECT_EQ(row.text_tokens, 10);
  EXPECT_EQ(row.gate_mass, 25.75);
  EXPECT_EQ(row.overflow_tokens, 3);
  ASSERT_EQ(table.windows.size(), 1u);
  EXPECT_EQ(table.windows[0].layer, 1);
  EXPECT_EQ(table.windows[0].drift_js, 0.125);
  service.model_admin->served = false;
  EXPECT_EQ(code_of([&] { connect()->experts(); }), "UNAVAILABLE");
}

TEST_P(ClientTest, TellsNothingToAPublicPortWithoutKeys) {
  start();
  const std::string code = code_of([&] { connect()->tell(VersionCommand::kPin, 3); });
  EXPECT_EQ(code, over_grpc() ? "UNIMPLEMENTED" : "NOT_FOUND");
  EXPECT_TRUE(service.model_admin->commands().empty());
}

TEST(ClientAdminTest, TellsTheManagementPort) {
  server::FakeService service;
  server::AdminServer admin({.port = 0}, service);
  admin.start();
  const auto client = make_http_client("http://127.0.0.1:" + std::to_string(admin.port()));
  EXPECT_EQ(client->tell(VersionCommand::kLoad, 2), 2);
  EXPECT_EQ(client->tell(VersionCommand::kPin, 0), 3);
  EXPECT_EQ(client->tell(VersionCommand::kUnpin, 0), 3);
  EXPECT_EQ(client->tell(VersionCommand::kRollback, 0), 1);
  EXPECT_EQ(service.model_admin->commands(), (std::vector<std::string>{"load 2", "pin 0", "unpin", "rollback"}));
}

TEST(ClientAdminTest, AKeyOpensBothTransports) {
  server::FakeService service;
  server::KeyRing keys(server::parse_api_keys("ops " + server::hash_api_key("k") + " infer,admin\n"),
                       [] { return 0.0; });
  server::HttpServer http({.port = 0, .keys = &keys}, service);
  server::GrpcServer grpc({.port = 0, .keys = &keys}, service);
  http.start();
  grpc.start();
  for (const bool over_grpc : {false, true}) {
    const auto connect = [&](const std::string& key) {
      const ConnectOptions options{.api_key = key};
      return over_grpc ? make_grpc_client("127.0.0.1:" + std::to_string(grpc.port()), options)
                       : make_http_client("http://127.0.0.1:" + std::to_string(http.port()), options);
    };
    EXPECT_EQ(connect("k")->tell(VersionCommand::kPin, 2), 2);
    EXPECT_EQ(connect("k")->ask({.image = "pic", .question = "what?"}).answer, "circle");
    EXPECT_THROW(connect("x")->tell(VersionCommand::kPin, 2), ClientError);
    EXPECT_THROW(connect("")->ask({.image = "pic", .question = "what?"}), ClientError);
  }
  EXPECT_EQ(service.requests().at(1).tenant, "ops");
}

TEST_P(ClientTest, SendsEveryParameter) {
  start();
  Question asked = question();
  asked.max_tokens = 5;
  asked.temperature = 0.1f;
  asked.top_p = 0.3f;
  asked.top_k = 4;
  asked.seed = 18446744073709551615u;
  asked.stop = {"x", "y"};
  asked.batch = true;
  asked.timeout_ms = 4321;
  asked.model = "sparsefusion";
  connect()->ask(asked);
  const server::AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.sampling.max_tokens, 5);
  EXPECT_EQ(seen.sampling.temperature, 0.1f);
  EXPECT_EQ(seen.sampling.top_p, 0.3f);
  EXPECT_EQ(seen.sampling.top_k, 4);
  EXPECT_EQ(seen.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(seen.stop, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(seen.priority, server::Priority::kBatch);
  EXPECT_EQ(seen.timeout_ms, 4321);
  EXPECT_EQ(seen.model, "sparsefusion");
}

TEST_P(ClientTest, AsksForOneOfSeveralStrings) {
  start();
  Question asked = question();
  asked.choices = {"circle", "gr\xc3\xbcn"};
  const auto client = connect();
  for (const bool stream : {false, true}) {
    std::vector<std::string> deltas;
    const auto keep = [&](std::string_view delta) {
      deltas.emplace_back(delta);
      return true;
    };
    const Answer answer = stream ? client->ask_stream(asked, keep) : client->ask(asked);
    EXPECT_EQ(answer.answer, "gr\xc3\xbcn");
    ASSERT_EQ(answer.choices.size(), 2u);
    EXPECT_EQ(answer.choices[0].text, "circle");
    EXPECT_EQ(answer.choices[0].probability, 0.5);
    EXPECT_EQ(deltas.size(), stream ? 1u : 0u);
  }
  asked.choices = {"alone"};
  EXPECT_EQ(code_of([&] { client->ask(asked); }), "INVALID_ARGUMENT");
}

TEST_P(ClientTest, Explains) {
  Explanation& explanation = service.explanation.explanation;
  explanation.answer = "red";
  explanation.method = HeatmapMethod::kRollout;
  explanation.rows = 2;
  explanation.columns = 2;
  explanation.image.width = 64;
  explanation.image.height = 48;
  explanation.tokens = {{"r", 5, -0.25f, {0, 0, 0.75f, 0.25f}}, {"ed", 6, -0.5f, {1, 0, 0, 0}}};
  explanation.num_prompt_tokens = 1;
  explanation.routing = {{"<image>", true, {{0, 1}, {2, 3}}, {{1, 0}, {1, 0}}},
                         {"r", false, {{3, 1}, {2, 0}}, {{1, 0}, {1, 0}}}};
  service.explanation.png = "a picture";
  start();
  ExplainQuestion asked{
      .question = question(), .method = "rollout", .layer = 1, .lens_top = 0, .token = 1, .image = true};
  asked.question.max_tokens = 3;
  const Explained explained = connect()->explain(asked);
  EXPECT_EQ(explained.answer, "red");
  EXPECT_EQ(explained.method, "rollout");
  EXPECT_EQ(explained.model_version, 3);
  EXPECT_EQ(explained.image_width, 64);
  EXPECT_EQ(explained.columns, 2);
  ASSERT_EQ(explained.tokens.size(), 2u);
  EXPECT_EQ(explained.tokens[0].cell, 2);
  EXPECT_EQ(explained.tokens[0].logprob, -0.25);
  EXPECT_EQ(explained.tokens[0].experts, (std::vector<std::vector<int>>{{3, 1}, {2, 0}}));
  EXPECT_TRUE(explained.tokens[1].experts.empty());
  EXPECT_EQ(explained.png, "a picture");
  const server::ExplainRequest seen = service.explain_requests().back();
  EXPECT_EQ(seen.options.method, HeatmapMethod::kRollout);
  EXPECT_EQ(seen.options.layer, 1);
  EXPECT_EQ(seen.options.lens_top, 0);
  EXPECT_EQ(seen.options.max_tokens, 3);
  EXPECT_EQ(seen.image_token, 1);
  asked.method = "guess";
  EXPECT_EQ(code_of([&] { connect()->explain(asked); }), "INVALID_ARGUMENT");
}

TEST_P(ClientTest, Streams) {
  service.deltas = {"red", " gr\xc3\xbcn"};
  start();
  std::vector<std::string> deltas;
  const Answer answer = connect()->ask_stream(question(), [&](std::string_view delta) {
    deltas.emplace_back(delta);
    return true;
  });
  EXPECT_EQ(deltas, service.deltas);
  EXPECT_EQ(answer.answer, "red gr\xc3\xbcn");
  EXPECT_EQ(answer.completion_tokens, 2);
}

TEST_P(ClientTest, CancelsAStreamFromTheCallback) {
  service.hang_after_text = true;
  start();
  const auto client = connect();
  EXPECT_EQ(code_of([&] { client->ask_stream(question(), [](std::string_view) { return false; }); }), "CANCELLED");
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
}

TEST_P(ClientTest, ThrowsWhatTheServerSays) {
  start();
  const auto client = connect();
  const std::pair<Error, const char*> cases[] = {
      {Error(Code::kInvalidArgument, "image: broken", "image"), "INVALID_ARGUMENT"},
      {Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull), "RESOURCE_EXHAUSTED"},
      {Error(Code::kUnavailable, "draining", "", Reason::kDraining), "UNAVAILABLE"},
      {Error(Code::kDeadlineExceeded, "late"), "DEADLINE_EXCEEDED"},
      {Error(Code::kNotFound, "model"), "NOT_FOUND"},
      {Error(Code::kInternal, "bug"), "INTERNAL"}};
  for (const auto& [error, code] : cases) {
    service.submit_error = error;
    EXPECT_EQ(code_of([&] { client->ask(question()); }), code);
    EXPECT_EQ(code_of([&] { client->ask_stream(question(), [](std::string_view) { return true; }); }), code);
  }
  service.submit_error.reset();
  EXPECT_EQ(client->ask(question()).answer, "circle");
}

TEST_P(ClientTest, ReportsAnErrorInTheMiddleOfAStream) {
  service.stream_error = Error(Code::kInternal, "bug");
  start();
  const auto client = connect();
  EXPECT_NE(code_of([&] { client->ask_stream(question(), [](std::string_view) { return true; }); }), "OK");
}

TEST_P(ClientTest, ChecksHealth) {
  start();
  const auto client = connect();
  EXPECT_TRUE(client->is_healthy(false));
  EXPECT_TRUE(client->is_healthy(true));
}

TEST_P(ClientTest, ChecksHealthBeforeAVersionIsPublished) {
  service.ready = false;
  start();
  const auto client = connect();
  EXPECT_TRUE(client->is_healthy(false));
  EXPECT_FALSE(client->is_healthy(true));
}

TEST_P(ClientTest, SaysThatNobodyAnswers) {
  const ConnectOptions impatient{.connect_timeout_ms = 200};
  const auto client =
      over_grpc() ? make_grpc_client("127.0.0.1:1", impatient) : make_http_client("http://127.0.0.1:1", impatient);
  EXPECT_EQ(code_of([&] { client->ask(question()); }), "UNAVAILABLE");
  EXPECT_FALSE(client->is_healthy(false));
}

TEST_P(ClientTest, ListsModelsOverRest) {
  start();
  const auto client = connect();
  if (over_grpc()) {
    EXPECT_EQ(code_of([&] { client->models(); }), "UNIMPLEMENTED");
    return;
  }
  const auto models = client->models();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].id, "sparsefusion");
  EXPECT_EQ(models[0].version, 3);
}

INSTANTIATE_TEST_SUITE_P(Transports, ClientTest, testing::Values("http", "grpc"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ClientUrlTest, RefusesWhatIsNoUrl) { EXPECT_THROW(make_http_client("localhost:8000"), ClientError); }

}  // namespace
}  // namespace sf::client
