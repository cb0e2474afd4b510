// Choices, top_logprobs and explanations of the bundled model through a real server: each says the same as the others.
#include <gtest/gtest.h>
#include <httplib.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/file.h"
#include "server/wire/base64.h"
#include "tests/integration/live_server.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

using nlohmann::json;

constexpr double kProbabilityTolerance = 1e-4;  // f32: other batch shapes round differently

class DemoChoicesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>("choices");
    server_ = std::make_unique<LiveServer>(folder_->path(), test::source_dir() + "/models/demo");
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }
  static httplib::Result post(const std::string& path, const json& body) {
    httplib::Client http("127.0.0.1", server_->http_port());
    http.set_read_timeout(60);
    return http.Post(path, body.dump(), "application/json");
  }
  static std::string data_uri() {
    return "data:image/png;base64," +
           server::encode_base64(read_file(test::source_dir() + "/examples/scene.png", 1 << 20));
  }
  static client::Question question(std::vector<std::string> choices) {
    return {.image = read_file(test::source_dir() + "/examples/scene.png", 1 << 20),
            .question = "what shape is the red object?",
            .choices = std::move(choices)};
  }
  // By the chat API: the likeliest first tokens of an answer. Another route, another way through the sampler.
  static std::map<std::string, double> first_tokens() {
    const json content = {{{"type", "image_url"}, {"image_url", {{"url", data_uri()}}}},
                          {{"type", "text"}, {"text", "what shape is the red object?"}}};
    const httplib::Result result =
        post("/v1/chat/completions",
             {{"messages", {{{"role", "user"}, {"content", content}}}}, {"logprobs", true}, {"top_logprobs", 5}});
    EXPECT_EQ(result->status, 200) << result->body;
    std::map<std::string, double> logprobs;
    const json top = json::parse(result->body)["choices"][0]["logprobs"]["content"][0]["top_logprobs"];
    EXPECT_EQ(top.size(), 5u);
    for (const json& token : top) logprobs[token["token"]] = token["logprob"];
    return logprobs;
  }

  static inline std::unique_ptr<ScratchFolder> folder_;
  static inline std::unique_ptr<LiveServer> server_;
};

TEST_F(DemoChoicesTest, ProbabilitiesAgreeWithTheLogprobsOfTheChatApi) {
  const client::Answer answer = server_->rest()->ask(question({"circle", "square"}));
  ASSERT_EQ(answer.choices.size(), 2u);
  EXPECT_EQ(answer.answer, "circle");
  EXPECT_NEAR(answer.choices[0].probability + answer.choices[1].probability, 1, 1e-9);
  const std::map<std::string, double> first = first_tokens();
  ASSERT_TRUE(first.contains("circle") && first.contains("square")) << json(first);
  const double circle = std::exp(first.at("circle")), square = std::exp(first.at("square"));
  EXPECT_NEAR(answer.choices[0].probability, circle / (circle + square), kProbabilityTolerance);
  EXPECT_EQ(answer.completion_tokens, server_->rest()->ask(question({})).completion_tokens);
  RecordProperty("circle", std::to_string(answer.choices[0].probability));
}

TEST_F(DemoChoicesTest, EveryApiGivesTheSame) {
  const std::vector<std::string> texts = {"square", "blue", "blue circle", "a blue circle", "circle", "7"};
  const client::Answer expected = server_->rest()->ask(question(texts));
  EXPECT_EQ(expected.answer, "circle");
  const auto grpc = server_->grpc(), rest = server_->rest();
  for (client::Client* asker : {grpc.get(), rest.get()}) {
    std::vector<std::string> deltas;
    const client::Answer streamed = asker->ask_stream(question(texts), [&](std::string_view delta) {
      deltas.emplace_back(delta);
      return true;
    });
    EXPECT_EQ(deltas, std::vector<std::string>{"circle"});
    for (const client::Answer& answer : {streamed, asker->ask(question(texts))}) {
      EXPECT_EQ(answer.answer, expected.answer);
      EXPECT_EQ(answer.finish_reason, "stop");
      EXPECT_EQ(answer.completion_tokens, expected.completion_tokens);
      EXPECT_EQ(answer.assigned_tokens, expected.assigned_tokens);
      ASSERT_EQ(answer.choices.size(), texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(answer.choices[i].text, texts[i]);
        EXPECT_NEAR(answer.choices[i].probability, expected.choices[i].probability, kProbabilityTolerance);
      }
    }
  }
}

TEST_F(DemoChoicesTest, AnAnswerComesWithItsExplanation) {
  const json body = {{"image", data_uri()}, {"question", "what shape is the red object?"}, {"explain", true}};
  const httplib::Result result = post("/v1/answer", body);
  ASSERT_TRUE(result);
  ASSERT_EQ(result->status, 200) << result->body;
  const json answer = json::parse(result->body);
  EXPECT_EQ(answer["answer"], "circle");
  EXPECT_EQ(answer["explain"]["answer"], "circle");
  EXPECT_EQ(answer["explain"]["model_version"], answer["model_version"]);
  EXPECT_FALSE(answer["explain"]["tokens"].empty());
  const client::Explained explained = server_->grpc()->explain({.question = question({}), .image = true});
  EXPECT_EQ(explained.answer, "circle");
  EXPECT_EQ(explained.tokens.at(0).experts.size(), 3u);
  EXPECT_TRUE(explained.png.starts_with("\x89PNG"));
}

}  // namespace
}  // namespace sf::test
