#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class OpenAiApiTest : public HttpFixture {
 protected:
  static json image_part() {
    return {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64," + encode_base64("picture")}}}};
  }
  static json chat() {
    return {{"model", "sparsefusion"},
            {"messages",
             json::array({{{"role", "user"},
                           {"content", json::array({{{"type", "text"}, {"text", "what shape?"}}, image_part()})}}})}};
  }
  httplib::Result post(const json& body) {
    return client->Post("/v1/chat/completions", body.dump(), "application/json");
  }
  // Status, param and message of the error that `body` leads to.
  struct Refusal {
    int status = 0;
    std::string param, message;
  };
  Refusal refused(const json& body) {
    const httplib::Result result = post(body);
    if (!result || result->status == 200) return {};
    const json error = json::parse(result->body)["error"];
    return {result->status, error["param"].is_string() ? error["param"].get<std::string>() : "", error["message"]};
  }
  // The chunks of a stream, "[DONE]" checked and dropped.
  static std::vector<json> chunks(const std::string& body) {
    std::vector<json> found;
    std::string last;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_EQ(body.substr(at, 6), "data: ");
      last = body.substr(at + 6, end - at - 6);
      if (last != "[DONE]") found.push_back(json::parse(last));
      at = end + 2;
    }
    EXPECT_EQ(last, "[DONE]");
    return found;
  }
};

TEST_F(OpenAiApiTest, AnswersWithAChatCompletion) {
  service.deltas = {"red", " circle"};
  start();
  const httplib::Result result = post(chat());
  ASSERT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
  const json body = json::parse(result->body);
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["id"], "chatcmpl-" + result->get_header_value("X-Request-Id"));
  EXPECT_EQ(body["model"], "sparsefusion");
  EXPECT_GT(body["created"], 1'700'000'000);
  const json choice = body["choices"].at(0);
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], "red circle");
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_EQ(body["usage"]["prompt_tokens"], 20);
  EXPECT_EQ(body["usage"]["completion_tokens"], 2);
  EXPECT_EQ(body["usage"]["total_tokens"], 22);
  EXPECT_EQ(body["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
  const auto finished = service.wait_for_finished(1);
  EXPECT_EQ(finished.at(0).api, "openai");
  EXPECT_EQ(finished.at(0).code, "200");
}

TEST_F(OpenAiApiTest, PassesMessagesAndParametersOn) {
  start();
  json body = chat();
  body["messages"] = json::array({{{"role", "developer"}, {"content", "be brief"}},
                                  {{"role", "user"}, {"content", json::array({image_part()})}},
                                  {{"role", "assistant"}, {"content", "yes?"}},
                                  {{"role", "user"}, {"content", "what shape?"}}});
  body.update({{"max_completion_tokens", 7},
               {"temperature", 0.5},
               {"top_p", 0.25},
               {"seed", -1},
               {"stop", "x"},
               {"presence_penalty", 0},
               {"response_format", {{"type", "text"}}},
               {"user", "somebody"},
               {"n", 1},
               {"tools", json::array()},
               {"top_k", -1},
               {"priority", 5},
               {"logprobs", nullptr}});
  ASSERT_EQ(post(body)->status, 200);
  const AnswerRequest seen = service.requests().at(0);
  ASSERT_EQ(seen.messages.size(), 4u);
  EXPECT_EQ(seen.messages[0].role, "system");
  EXPECT_EQ(seen.messages[1].parts.at(0).kind, Part::Kind::kImage);
  EXPECT_EQ(seen.messages[1].parts.at(0).data, "picture");
  EXPECT_EQ(seen.messages[2].role, "assistant");
  EXPECT_EQ(seen.messages[3].parts.at(0).data, "what shape?");
  EXPECT_EQ(seen.sampling.max_tokens, 7);
  EXPECT_EQ(seen.sampling.temperature, 0.5f);
  EXPECT_EQ(seen.sampling.seed, UINT64_MAX);
  EXPECT_EQ(seen.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(seen.api, "openai");
  EXPECT_EQ(seen.sampling.top_k, 0);
  EXPECT_EQ(seen.priority, Priority::kBatch) << "vLLM's number: the lower the sooner";
}

TEST_F(OpenAiApiTest, ALargeMaxTokensIsNoError) {
  start();
  for (const json& most : {json(1'000'000'000), json(1e9), json(4'000'000'000'000)}) {
    json body = chat();
    body["max_tokens"] = most;
    EXPECT_EQ(post(body)->status, 200) << most;
  }
}

// Tools that none may call leave the answer as it is.
TEST_F(OpenAiApiTest, ToolsMayBeListedWhereNoneIsCalled) {
  start();
  json body = chat();
  body["tools"] = json::array({{{"type", "function"}, {"function", {{"name", "f"}}}}});
  body["tool_choice"] = "none";
  EXPECT_EQ(post(body)->status, 200);
  body.erase("tools");
  EXPECT_EQ(post(body)->status, 200);
  body["tool_choice"] = "auto";
  EXPECT_EQ(post(body)->status, 200) << "there is none to choose";
  body["functions"] = json::array({{{"name", "f"}}});
  body["function_call"] = "none";
  EXPECT_EQ(post(body)->status, 200);
}

TEST_F(OpenAiApiTest, AConversationMayHoldWhatToolsSaid) {
  start();
  const json call = {{"id", "1"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"x\": 1}"}}}};
  json body = chat();
  body["messages"] = json::array({{{"role", "user"}, {"content", "what shape?"}},
                                  {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", json::array({call})}},
                                  {{"role", "tool"}, {"tool_call_id", "1"}, {"content", "a circle"}},
                                  {{"role", "assistant"}, {"function_call", {{"name", "g"}}}, {"audio", nullptr}},
                                  {{"role", "function"}, {"name", "g"}, {"content", "red"}},
                                  {{"role", "assistant"}, {"content", nullptr}},
                                  {{"role", "user"}, {"content", "sure?"}}});
  ASSERT_EQ(post(body)->status, 200);
  const std::vector<Message> seen = service.requests().at(0).messages;
  ASSERT_EQ(seen.size(), 7u);
  EXPECT_EQ(seen[1].role, "assistant");
  EXPECT_EQ(seen[1].parts.at(0).data, R"({"name": "f", "arguments": {"x": 1}})");
  EXPECT_EQ(seen[2].role, "user");
  EXPECT_EQ(seen[2].parts.at(0).data, "a circle");
  EXPECT_EQ(seen[3].parts.at(0).data, R"({"name": "g", "arguments": {}})");
  EXPECT_EQ(seen[4].parts.at(0).data, "red");
  EXPECT_TRUE(seen[5].parts.empty());
}

TEST_F(OpenAiApiTest, TheServicesFieldsHaveTheClientsNames) {
  start();
  service.submit_error = Error(Code::kOutOfRange, "question: the prompt has 900 tokens", "question");
  const json error = json::parse(post(chat())->body)["error"];
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "messages");
  EXPECT_EQ(error["message"], "messages: the prompt has 900 tokens");
  service.submit_error = invalid_argument("max_tokens", "max_tokens: too few");
  json body = chat();
  EXPECT_EQ(refused(body).param, "max_tokens");
  body["max_completion_tokens"] = 1;
  EXPECT_EQ(refused(body).param, "max_completion_tokens");
}

TEST_F(OpenAiApiTest, GreedyUnlessAsked) {
  start();
  ASSERT_EQ(post(chat())->status, 200);
  EXPECT_LT(service.requests().at(0).sampling.temperature, 0);
}

TEST_F(OpenAiApiTest, GivesSeveralChoicesFromSeedsInARow) {
  start();
  json body = chat();
  body.update({{"n", 3}, {"seed", 5}, {"temperature", 1}});
  const json answer = json::parse(post(body)->body);
  ASSERT_EQ(answer["choices"].size(), 3u);
  EXPECT_EQ(answer["choices"][2]["index"], 2);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 20);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 3);
  const auto seen = service.requests();
  ASSERT_EQ(seen.size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(seen[i].sampling.seed, 5 + i);
  EXPECT_EQ(service.wait_for_finished(1).size(), 1u);
}

TEST_F(OpenAiApiTest, AChoiceThatIsRefusedTakesTheOthersWithIt) {
  service.refuse_from = 3;
  start();
  json body = chat();
  body["n"] = 3;
  const httplib::Result result = post(body);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->get_header_value("Retry-After"), "7");
  EXPECT_EQ(service.wait_for_cancelled(2), 2);
}

TEST_F(OpenAiApiTest, GivesTheTokensLogProbabilities) {
  service.deltas = {"a", "\xc3\xbc"};
  start();
  json body = chat();
  body["logprobs"] = true;
  const json content = json::parse(post(body)->body)["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[1]["token"], "\xc3\xbc");
  EXPECT_EQ(content[1]["bytes"], json({0xc3, 0xbc}));
  EXPECT_EQ(content[1]["logprob"], -0.5);
  EXPECT_EQ(content[1]["top_logprobs"], json::array());
}

TEST_F(OpenAiApiTest, GivesTheLikeliestTokensBesideEach) {
  service.deltas = {"a", "b"};
  start();
  json body = chat();
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const json content = json::parse(post(body)->body)["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 2u);
  ASSERT_EQ(content[1]["top_logprobs"].size(), 2u);
  EXPECT_EQ(content[1]["top_logprobs"][0], json({{"token", "b"}, {"logprob", -0.5}, {"bytes", {98}}}));
  EXPECT_EQ(content[1]["top_logprobs"][1]["token"], "</s>");
  EXPECT_EQ(service.requests().at(0).sampling.top_logprobs, 2);
  body["stream"] = true;
  EXPECT_NE(post(body)->body.find("\"top_logprobs\":[{\"token\":\"a\""), std::string::npos);
}

TEST_F(OpenAiApiTest, StreamsRoleDeltasEndAndUsage) {
  service.deltas = {"red", " circle"};
  start();
  json body = chat();
  body.update({{"stream", true}, {"stream_options", {{"include_usage", true}}}, {"logprobs", true}});
  const httplib::Result result = post(body);
  ASSERT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  const std::vector<json> found = chunks(result->body);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0]["object"], "chat.completion.chunk");
  EXPECT_EQ(found[0]["choices"][0]["delta"], json({{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(found[1]["choices"][0]["delta"]["content"], "red");
  EXPECT_EQ(found[1]["choices"][0]["logprobs"]["content"][0]["token"], "red");
  EXPECT_TRUE(found[1]["choices"][0]["finish_reason"].is_null());
  EXPECT_EQ(found[3]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(found[3]["choices"][0]["delta"], json::object());
  EXPECT_EQ(found[4]["choices"], json::array());
  EXPECT_EQ(found[4]["usage"]["total_tokens"], 22);
  for (const json& chunk : found) EXPECT_EQ(chunk["id"], found[0]["id"]);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "200");
}

TEST_F(OpenAiApiTest, StreamsSeveralChoicesWithTheirIndices) {
  service.deltas = {"a", "b"};
  start();
  json body = chat();
  body.update({{"stream", true}, {"n", 2}});
  std::map<int, std::string> texts;
  int ends = 0;
  for (const json& chunk : chunks(post(body)->body)) {
    const json& choice = chunk["choices"].at(0);
    texts[choice["index"]] += choice["delta"].value("content", "");
    ends += choice["finish_reason"].is_null() ? 0 : 1;
  }
  EXPECT_EQ(texts, (std::map<int, std::string>{{0, "ab"}, {1, "ab"}}));
  EXPECT_EQ(ends, 2);
}

TEST_F(OpenAiApiTest, PingsWhileNothingHappens) {
  service.hang_after_text = true;
  HttpOptions options;
  options.ping_interval_ms = 1;
  start(options);
  json body = chat();
  body["stream"] = true;
  RawConnection connection(port());
  connection.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.dump().size()) + "\r\n\r\n" + body.dump());
  EXPECT_NE(connection.read_until(": ping\n\n").find("circle"), std::string::npos);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

TEST_F(OpenAiApiTest, AFailureBeforeTheFirstTokenIsAPlainError) {
  service.deltas = {};
  service.stream_error = Error(Code::kDeadlineExceeded, "too late");
  start();
  json body = chat();
  body["stream"] = true;
  const httplib::Result result = post(body);
  EXPECT_EQ(result->status, 504);
  EXPECT_EQ(json::parse(result->body)["error"]["code"], "deadline_exceeded");
}

TEST_F(OpenAiApiTest, AFailureAfterTextIsAnErrorEvent) {
  service.stream_error = Error(Code::kInternal, "secret");
  start();
  json body = chat();
  body["stream"] = true;
  const httplib::Result result = post(body);
  EXPECT_EQ(result->status, 200);
  const std::vector<json> found = chunks(result->body);
  EXPECT_EQ(found.back()["error"]["type"], "server_error");
  EXPECT_EQ(result->body.find("secret"), std::string::npos);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "500");
}

TEST_F(OpenAiApiTest, RefusesWhatItCannotDoByName) {
  start();
  struct Case {
    json change;
    const char* param;
  };
  const json tool = {{"type", "function"}};
  const std::vector<Case> cases = {
      {{{"tools", json::array({tool})}}, "tools"},
      {{{"tools", json::array({tool})}, {"tool_choice", "auto"}}, "tools"},
      {{{"tools", json::array({tool})}, {"tool_choice", "required"}}, "tools"},
      {{{"tools", "none"}, {"tool_choice", "none"}}, "tools"},
      {{{"tool_choice", "required"}}, "tool_choice"},
      {{{"tool_choice", {{"type", "function"}}}}, "tool_choice"},
      {{{"functions", json::array({tool})}}, "functions"},
      {{{"function_call", {{"name", "f"}}}}, "function_call"},
      {{{"response_format", {{"type", "json_object"}}}}, "response_format"},
      {{{"response_format", "json"}}, "response_format"},
      {{{"temprature", 0.5}}, "temprature"},
      {{{"stream", true}, {"stream_options", {{"continuous_usage_stats", true}}}},
       "stream_options.continuous_usage_stats"},
      {{{"top_logprobs", 2}}, "top_logprobs"},  // without logprobs
      {{{"logprobs", true}, {"top_logprobs", 21}}, "top_logprobs"},
      {{{"logprobs", true}, {"top_logprobs", -1}}, "top_logprobs"},
      {{{"logprobs", true}, {"top_logprobs", "two"}}, "top_logprobs"},
      {{{"n", 0}}, "n"},
      {{{"n", 9}}, "n"},
      {{{"n", "two"}}, "n"},
      {{{"temperature", 2.5}}, "temperature"},
      {{{"max_tokens", 0}}, "max_tokens"},
      {{{"stream_options", {{"include_usage", true}}}}, "stream_options"},
      {{{"modalities", {"text", "audio"}}}, "modalities"},
      {{{"messages", json::array()}}, "messages"},
      {{{"messages", "hello"}}, "messages"},
      {{{"messages", json::array({5})}}, "messages[0]"},
      {{{"messages", json::array({{{"role", "robot"}, {"content", "x"}}})}}, "messages[0].role"},
      {{{"messages", json::array({{{"role", "tool"}, {"content", "x"}}})}}, "messages"},  // the last is the user's
      {{{"messages", json::array({{{"role", "assistant"}, {"content", "x"}}})}}, "messages"},
      {{{"messages", json::array({{{"role", "assistant"}, {"tool_calls", "x"}}})}}, "messages[0].tool_calls"},
      {{{"messages", json::array({{{"role", "assistant"}, {"tool_calls", {{{"id", "x"}}}}}})}},
       "messages[0].tool_calls[0].function"},
      {{{"messages", json::array({{{"role", "assistant"}, {"audio", {{"id", "x"}}}}})}}, "messages[0].audio"},
      {{{"messages", json::array({{{"role", "user"}}})}}, "messages[0].content"},
      {{{"messages", json::array({{{"role", "user"}, {"content", 5}}})}}, "messages[0].content"},
      {{{"messages", json::array({{{"role", "user"}, {"content", json::array({{{"type", "input_audio"}}})}}})}},
       "messages[0].content[0].type"},
      {{{"messages", json::array({{{"role", "user"},
                                   {"content", json::array({{{"type", "image_url"},
                                                             {"image_url", {{"url", "http://x/y.png"}}}}})}}})}},
       "messages[0].content[0].image_url"},
      {{{"messages",
         json::array({{{"role", "user"},
                       {"content", json::array({{{"type", "image_url"}, {"image_url", {{"url", "data:,%20"}}}}})}}})}},
       "messages[0].content[0].image_url"},
  };
  for (const Case& c : cases) {
    json body = chat();
    body.update(c.change);
    const Refusal refusal = refused(body);
    EXPECT_EQ(refusal.status, 400) << c.change;
    EXPECT_EQ(refusal.param, c.param) << c.change;
    EXPECT_NE(refusal.message.find(c.param), std::string::npos) << refusal.message;
  }
  json missing = chat();
  missing.erase("messages");
  EXPECT_EQ(refused(missing).param, "messages");
  EXPECT_EQ(service.rejected().size(), cases.size() + 1);
}

TEST_F(OpenAiApiTest, TakesJsonOnly) {
  start();
  EXPECT_EQ(client->Post("/v1/chat/completions", chat().dump(), "text/plain")->status, 415);
  EXPECT_EQ(client->Post("/v1/chat/completions", "{", "application/json")->status, 400);
  EXPECT_EQ(client->Get("/v1/chat/completions")->status, 405);
}

}  // namespace
}  // namespace sf::server
