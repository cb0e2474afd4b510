// One question, every way to ask it; and what the server then says of itself.
#include <gtest/gtest.h>
#include <httplib.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/file.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "server/wire/base64.h"
#include "tests/integration/live_server.h"

namespace sf::test {
namespace {

using nlohmann::json;

class AnswersTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>("answers");
    store_ = copy_toy_store(folder_->path());
    server_ = std::make_unique<LiveServer>(folder_->path(), store_);
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }

  static httplib::Result post(const json& body) {
    httplib::Client http("127.0.0.1", server_->http_port());
    return http.Post("/v1/answer", body.dump(), "application/json");
  }
  static json question_body(const client::Question& question) {
    return {{"image", "data:image/png;base64," + server::encode_base64(question.image)},
            {"question", question.question},
            {"max_tokens", *question.max_tokens}};
  }

  static inline std::unique_ptr<ScratchFolder> folder_;
  static inline std::filesystem::path store_;
  static inline std::unique_ptr<LiveServer> server_;
};

void expect_same(const client::Answer& answer, const client::Answer& expected, const char* how) {
  SCOPED_TRACE(how);
  EXPECT_EQ(answer.answer, expected.answer);
  EXPECT_EQ(answer.model_version, expected.model_version);
  EXPECT_EQ(answer.finish_reason, expected.finish_reason);
  EXPECT_EQ(answer.image_tokens, expected.image_tokens);
  EXPECT_EQ(answer.prompt_tokens, expected.prompt_tokens);
  EXPECT_EQ(answer.completion_tokens, expected.completion_tokens);
  EXPECT_EQ(answer.assigned_tokens, expected.assigned_tokens);
  EXPECT_EQ(answer.overflow_tokens, expected.overflow_tokens);
}

client::Answer streamed(client::Client& asker, const client::Question& question) {
  std::string text;
  client::Answer answer = asker.ask_stream(question, [&](std::string_view delta) {
    text += delta;
    return true;
  });
  EXPECT_EQ(text, answer.answer);
  return answer;
}

TEST_F(AnswersTest, EveryApiGivesTheSameAnswer) {
  const auto rest = server_->rest(), grpc = server_->grpc();
  const client::Question question = scene_question();
  const client::Answer expected = rest->ask(question);
  EXPECT_GT(expected.image_tokens, 0);
  EXPECT_GT(expected.prompt_tokens, expected.image_tokens);
  EXPECT_GT(expected.completion_tokens, 0);
  EXPECT_GT(expected.assigned_tokens, 0u);
  EXPECT_EQ(expected.model_version, 1);
  expect_same(grpc->ask(question), expected, "gRPC");
  expect_same(streamed(*rest, question), expected, "REST, streamed");
  expect_same(streamed(*grpc, question), expected, "gRPC, streamed");

  const httplib::Result response = post(question_body(question));
  ASSERT_TRUE(response);
  ASSERT_EQ(response->status, 200) << response->body;
  const json body = json::parse(response->body);
  EXPECT_EQ(body["answer"], expected.answer);
  EXPECT_EQ(body["usage"]["prompt_tokens"], expected.prompt_tokens);
  EXPECT_EQ(body["usage"]["completion_tokens"], expected.completion_tokens);
  EXPECT_EQ(body["moe"]["assigned_tokens"], expected.assigned_tokens);
  EXPECT_EQ(response->get_header_value("X-Model-Version"), "1");
}

TEST_F(AnswersTest, EqualSeedsDrawTheSameLongAnswerOnEveryApi) {
  const auto rest = server_->rest(), grpc = server_->grpc();
  const client::Answer expected = rest->ask(long_question(3));
  expect_same(streamed(*grpc, long_question(3)), expected, "gRPC, streamed");
  expect_same(streamed(*rest, long_question(3)), expected, "REST, streamed");
  EXPECT_NE(rest->ask(long_question(4)).answer, expected.answer);
}

TEST_F(AnswersTest, AStreamEndsOnceAndThenIsDone) {
  json body = question_body(long_question(5));
  body["stream"] = true;
  const httplib::Result response = post(body);
  ASSERT_TRUE(response);
  ASSERT_EQ(response->get_header_value("Content-Type"), "text/event-stream");
  std::map<std::string, int> seen;
  std::istringstream lines(response->body);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    EXPECT_EQ(seen["done"], 0) << "after the end: " << line;
    ASSERT_EQ(line.substr(0, 6), "data: ");
    const std::string data = line.substr(6);
    ++seen[data == "[DONE]" ? "done" : json::parse(data).contains("delta") ? "delta" : "answer"];
  }
  EXPECT_GT(seen["delta"], 1);
  EXPECT_EQ(seen["answer"], 1);
  EXPECT_EQ(seen["done"], 1);
}

TEST_F(AnswersTest, TheModelIsNamedByItsDigest) {
  const auto models = server_->rest()->models();
  ASSERT_EQ(models.size(), 1u);
  const json model = json::parse(models[0].json);
  EXPECT_EQ(model["id"], "sparsefusion");
  EXPECT_EQ(model["version"], 1);
  EXPECT_EQ(model["step"], 6);
  EXPECT_EQ(model["digest"], open_checkpoint(store_ / "1").digest());
}

TEST_F(AnswersTest, MetricsCountWhatEveryExpertGot) {
  const double image_before = server_->metric("sparsefusion_image_tokens_total");
  const client::Answer answer = server_->grpc()->ask(scene_question());
  EXPECT_EQ(server_->metric("sparsefusion_image_tokens_total") - image_before, answer.image_tokens);

  std::map<std::string, double> by_modality;
  std::istringstream lines(server_->metrics());
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("sparsefusion_moe_expert_tokens_total{", 0) != 0) continue;
    const bool image = line.find("modality=\"image\"") != std::string::npos;
    by_modality[image ? "image" : "text"] += std::stod(line.substr(line.rfind(' ') + 1));
  }
  EXPECT_GT(by_modality["image"], 0);
  EXPECT_GT(by_modality["text"], 0);
  EXPECT_GT(server_->metric("sparsefusion_requests_total{api=\"grpc\",code=\"OK\""), 0) << server_->metrics();
}

TEST_F(AnswersTest, ASecondQuestionAboutAImageTakesItFromTheCache) {
  const client::Question first = scene_question();
  client::Question second = first;
  second.question = "is there anything else in it?";
  const ScratchFolder warm_folder("warm"), cold_folder("cold");
  const LiveServer warm(warm_folder.path(), store_), cold(cold_folder.path(), store_, {"--no-prefix-cache"});
  for (const client::Question& question : {first, second}) {
    const client::Answer answer = warm.grpc()->ask(question), expected = cold.grpc()->ask(question);
    expect_same(answer, expected, question.question.c_str());
    EXPECT_EQ(expected.cached_tokens, 0);
    EXPECT_LT(answer.cached_tokens, answer.prompt_tokens);
    EXPECT_EQ(answer.cached_tokens >= answer.image_tokens, question.question == second.question);
  }
  // A step is counted once its answers are on their way.
  EXPECT_TRUE(wait_until([&] { return warm.metric("sparsefusion_image_cache_queries_total") == 2; }));
  EXPECT_EQ(warm.metric("sparsefusion_image_cache_hits_total"), 1);
  EXPECT_EQ(warm.metric("sparsefusion_image_encode_seconds_count"), 1);
  EXPECT_EQ(cold.metric("sparsefusion_prefix_cache_queries_total"), 0);
}

TEST_F(AnswersTest, ARecordedRoutingReplaysToTheSameAnswer) {
  json body = question_body(scene_question());
  body["routing"] = "record";
  const json recorded = json::parse(post(body)->body);
  const int tokens =
      recorded["usage"]["prompt_tokens"].get<int>() + recorded["usage"]["completion_tokens"].get<int>() - 1;
  EXPECT_EQ(recorded["routing"]["tokens"], tokens);
  body["routing"] = {{"replay", recorded["routing"]}};
  const json replayed = json::parse(post(body)->body);
  EXPECT_EQ(replayed["answer"], recorded["answer"]);
  EXPECT_EQ(replayed["moe"], recorded["moe"]);
  EXPECT_EQ(replayed["usage"]["cached_tokens"], 0);
  EXPECT_FALSE(replayed.contains("routing"));
  body["routing"]["replay"]["layers"] = 7;
  EXPECT_EQ(post(body)->status, 400);
}

TEST_F(AnswersTest, PromtoolFindsNothingToSayAboutTheMetrics) {
  const std::filesystem::path page = folder_->path() / "metrics.txt";
  write_file(page, server_->metrics());
  const std::filesystem::path log = folder_->path() / "promtool";
  const int status = run(
      {"/bin/sh", "-c", "command -v promtool >/dev/null || exit 127; promtool check metrics <" + page.string()}, log);
  if (status == 127) GTEST_SKIP() << "promtool is not on this machine's PATH";
  EXPECT_EQ(status, 0) << read_file(log.string() + ".out", 1 << 20) << read_file(log.string() + ".err", 1 << 20);
}

}  // namespace
}  // namespace sf::test
