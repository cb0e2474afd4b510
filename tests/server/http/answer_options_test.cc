// POST /v1/answer with `choices` and with `explain`.
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class AnswerOptionsTest : public HttpFixture {};

TEST_F(AnswerOptionsTest, ChoicesComeBackWithTheirProbabilities) {
  start();
  json body = question();
  EXPECT_FALSE(json::parse(post_json(body)->body).contains("choices"));
  body["choices"] = {"square", "circle", "gr\xc3\xbcn"};
  const json answer = json::parse(post_json(body)->body);
  EXPECT_EQ(answer["answer"], "gr\xc3\xbcn");
  ASSERT_EQ(answer["choices"].size(), 3u);
  EXPECT_EQ(answer["choices"][0], json({{"text", "square"}, {"probability", 0.25}}));
  EXPECT_EQ(answer["choices"][2]["probability"], 0.5);
  EXPECT_EQ(service.requests().at(1).choices, (std::vector<std::string>{"square", "circle", "gr\xc3\xbcn"}));
}

TEST_F(AnswerOptionsTest, AFieldWithoutANameIsAnUnknownOne) {
  start();
  json body = question();
  body[""] = 1;
  json chat = {{"messages", {{{"role", "user"}, {"content", "what?"}}}}, {"", 1}};
  json infer = {{"inputs", json::array()}, {"", 1}};
  const std::pair<const char*, json> cases[] = {{"/v1/answer", body},
                                                {"/v1/explain", body},
                                                {"/v1/chat/completions", chat},
                                                {"/v2/models/sparsefusion/infer", infer}};
  for (const auto& [path, asked] : cases) {
    const httplib::Result result = client->Post(path, asked.dump(), "application/json");
    EXPECT_EQ(result->status, 400) << path << result->body;
    EXPECT_NE(result->body.find("unknown parameter"), std::string::npos) << result->body;
  }
  const httplib::Result form =
      client->Post("/v1/answer", {{"image", "bytes", "", ""}, {"question", "what?", "", ""}, {"", "1", "", ""}});
  EXPECT_EQ(form->status, 400) << form->body;
}

TEST_F(AnswerOptionsTest, ASmallTopPAndTheWholeRangeOfSeedsAreTaken) {
  start();
  json body = question();
  body["top_p"] = 1e-300;
  body["seed"] = 18446744073709551615u;
  EXPECT_EQ(post_json(body)->status, 200);
  json chat = {{"messages", {{{"role", "user"}, {"content", "what?"}}}}, {"seed", 18446744073709551615u}};
  const httplib::Result result = client->Post("/v1/chat/completions", chat.dump(), "application/json");
  EXPECT_EQ(result->body.find("seed"), std::string::npos) << result->body;
  chat["seed"] = -1;
  EXPECT_EQ(client->Post("/v1/chat/completions", chat.dump(), "application/json")->body.find("seed"),
            std::string::npos);
}

TEST_F(AnswerOptionsTest, ChoicesOfAFormAreOneFieldEach) {
  start();
  const httplib::UploadFormDataItems form = {{"image", "bytes", "", ""},
                                             {"question", "what?", "", ""},
                                             {"choices", "circle", "", ""},
                                             {"choices", "square", "", ""}};
  const httplib::Result result = client->Post("/v1/answer", form);
  ASSERT_EQ(result->status, 200) << result->body;
  EXPECT_EQ(json::parse(result->body)["answer"], "square");
  EXPECT_EQ(service.requests().at(0).choices, (std::vector<std::string>{"circle", "square"}));
}

TEST_F(AnswerOptionsTest, AStreamOfChoicesIsOneDeltaAndTheEnd) {
  start();
  json body = question();
  body["choices"] = {"circle", "blue circle"};
  body["stream"] = true;
  const std::string events = post_json(body)->body;
  EXPECT_EQ(events.find("\"delta\":\"blue circle\""), events.rfind("\"delta\""));
  EXPECT_NE(events.find("\"choices\":[{\"text\":\"circle\""), std::string::npos);
  EXPECT_TRUE(events.ends_with("data: [DONE]\n\n"));
}

TEST_F(AnswerOptionsTest, ExplainAddsTheExplanationOfTheSameAnswer) {
  service.explanation.explanation.answer = "circle";
  start();
  json body = question();
  body.update({{"explain", true}, {"max_tokens", 200}, {"temperature", 1}});
  const httplib::Result result = post_json(body);
  ASSERT_EQ(result->status, 200) << result->body;
  const json answer = json::parse(result->body);
  EXPECT_EQ(answer["answer"], "circle");
  EXPECT_EQ(answer["explain"]["answer"], "circle");
  EXPECT_EQ(answer["explain"]["method"], "relevancy");
  EXPECT_EQ(answer["explain"]["model_version"], answer["model_version"]);
  EXPECT_TRUE(answer["explain"].contains("experts"));
  const AnswerRequest asked = service.requests().at(0);
  const ExplainRequest explained = service.explain_requests().at(0);
  EXPECT_EQ(asked.sampling.max_tokens, 200);
  EXPECT_EQ(explained.options.max_tokens, ExplainOptions{}.max_tokens);
  EXPECT_EQ(explained.question.sampling.seed, asked.sampling.seed) << "both are drawn alike";
  EXPECT_EQ(service.wait_for_finished(1).size(), 1u);
}

TEST_F(AnswerOptionsTest, ExplainTakesItsTurn) {
  service.explain_error =
      Error(Code::kResourceExhausted, "at most 1 explanation runs at a time", "", Reason::kQueueFull);
  start();
  json body = question();
  body["explain"] = true;
  const httplib::Result result = post_json(body);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->get_header_value("Retry-After"), "7");
  EXPECT_TRUE(service.requests().empty()) << "nothing is answered in vain";
}

TEST_F(AnswerOptionsTest, ExplainIsRefusedWhereItCannotFollow) {
  start();
  const std::pair<const char*, json> cases[] = {{"stream", true}, {"stop", {"x"}}, {"choices", {"a", "b"}}};
  for (const auto& [name, value] : cases) {
    json body = question();
    body["explain"] = true;
    body[name] = value;
    const auto [status, error] = refusal(body);
    EXPECT_EQ(status, 400);
    EXPECT_EQ(error["error"]["param"], name);
  }
}

TEST_F(AnswerOptionsTest, BothAreOfOneVersion) {
  service.explanation.model_version = 2;  // replaced ever again before the answer is submitted
  start();
  json body = question();
  body["explain"] = true;
  EXPECT_EQ(post_json(body)->status, 503);
  EXPECT_EQ(service.wait_for_cancelled(3), 3);
}

}  // namespace
}  // namespace sf::server
