// Every field that clients of OpenAI, vLLM, llama.cpp and TGI send, row by row: what could change the answer is offered
// or refused by its name, what cannot is ignored.
#include <set>

#include "server/wire/unread_fields.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class ChatFieldsTest : public HttpFixture {
 protected:
  void SetUp() override { start(); }
  static json chat() { return {{"messages", {{{"role", "user"}, {"content", "what shape?"}}}}}; }
  // "ok", or the field that is refused.
  std::string outcome(const std::string& name, const json& value) {
    json body = chat();
    body[name] = value;
    const httplib::Result result = client->Post("/v1/chat/completions", body.dump(), "application/json");
    if (result->status == 200) return "ok";
    EXPECT_EQ(result->status, 400) << name << "=" << value;
    const json error = json::parse(result->body)["error"];
    EXPECT_EQ(error["type"], "invalid_request_error") << name;
    EXPECT_NE(error["message"].get<std::string>().find(name), std::string::npos) << error;
    return error["param"].is_string() ? error["param"].get<std::string>() : "";
  }
};

TEST_F(ChatFieldsTest, EveryRowOfTheTableIsIgnoredNeutralOrRefused) {
  const json other = {{"x", {1, "y"}}};
  for (const UnreadField& row : unread_fields()) {
    EXPECT_EQ(outcome(row.name, nullptr), "ok") << row.name;
    if (row.neutral == nullptr) {
      EXPECT_EQ(outcome(row.name, other), "ok") << row.name;
      continue;
    }
    EXPECT_NE(outcome(row.name, other), "ok") << row.name;
  }
}

TEST_F(ChatFieldsTest, NeutralValuesAreTaken) {
  const std::pair<const char*, json> cases[] = {{"best_of", 1},
                                                {"n", 1},
                                                {"use_beam_search", false},
                                                {"length_penalty", 1.0},
                                                {"min_p", 0.0},
                                                {"typical_p", 1},
                                                {"repetition_penalty", 1.0},
                                                {"presence_penalty", 0},
                                                {"frequency_penalty", 0.0},
                                                {"logit_bias", json::object()},
                                                {"stop_token_ids", json::array()},
                                                {"bad_words", json::array()},
                                                {"skip_special_tokens", true},
                                                {"add_generation_prompt", true},
                                                {"echo", false},
                                                {"ignore_eos", false},
                                                {"min_tokens", 0},
                                                {"modalities", {"text"}},
                                                {"response_format", {{"type", "text"}}},
                                                {"reasoning_effort", "none"},
                                                {"grammar", ""},
                                                {"explain", false},
                                                {"routing", false},
                                                {"structured_outputs", json::object()}};
  for (const auto& [name, value] : cases) EXPECT_EQ(outcome(name, value), "ok") << name << "=" << value;
}

TEST_F(ChatFieldsTest, WhatWouldChangeTheAnswerIsRefusedByItsName) {
  const std::pair<const char*, json> cases[] = {{"guided_regex", "[ab]"},
                                                {"guided_grammar", "root ::= \"a\""},
                                                {"grammar", "root ::= \"a\""},
                                                {"json_schema", {{"type", "object"}}},
                                                {"guided_json", {{"type", "string"}}},
                                                {"echo", true},
                                                {"prompt_logprobs", 0},
                                                {"prompt_logprobs", 5},
                                                {"explain", true},
                                                {"routing", "record"},
                                                {"min_p", 0.1},
                                                {"typical_p", 0.9},
                                                {"best_of", 2},
                                                {"use_beam_search", true},
                                                {"length_penalty", 0.5},
                                                {"stop_token_ids", {1}},
                                                {"bad_words", {"x"}},
                                                {"allowed_token_ids", {1}},
                                                {"suffix", "x"},
                                                {"audio", {{"voice", "alloy"}}},
                                                {"modalities", {"text", "audio"}},
                                                {"reasoning_effort", "high"},
                                                {"web_search_options", json::object()},
                                                {"skip_special_tokens", false},
                                                {"add_generation_prompt", false},
                                                {"continue_final_message", true},
                                                {"chat_template", "{{ x }}"},
                                                {"chat_template_kwargs", {{"enable_thinking", true}}},
                                                {"truncate_prompt_tokens", 5},
                                                {"include_stop_str_in_output", true},
                                                {"return_token_ids", true},
                                                {"repeat_penalty", 1.1},
                                                {"mirostat", 2},
                                                {"n_predict", 5},
                                                {"num_ctx", 5},
                                                {"question", "what?"},  // of another route
                                                {"image", "AAAA"},
                                                {"max_token", 5},
                                                {"Temperature", 1}};
  for (const auto& [name, value] : cases) EXPECT_EQ(outcome(name, value), name) << name << "=" << value;
  EXPECT_TRUE(service.requests().empty());
}

TEST_F(ChatFieldsTest, WhatCannotChangeTheAnswerIsIgnored) {
  for (const char* name : {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                           "parallel_tool_calls", "prediction", "cache_salt", "request_id", "keep_alive"}) {
    for (const json& value : {json("x"), json(true), json({{"a", "b"}})}) EXPECT_EQ(outcome(name, value), "ok") << name;
  }
}

TEST_F(ChatFieldsTest, ALongNameIsQuotedInPart) {
  json body = chat();
  body[std::string(5000, 'x')] = 1;
  const httplib::Result result = client->Post("/v1/chat/completions", body.dump(), "application/json");
  EXPECT_EQ(result->status, 400);
  EXPECT_LT(result->body.size(), 600u);
  EXPECT_EQ(json::parse(result->body)["error"]["code"], "unsupported_parameter");
}

// The native routes are of the same kind.
TEST_F(ChatFieldsTest, TheNativeRoutesFollowTheTableToo) {
  const std::set<std::string> read = {"choices", "explain", "routing", "format"};
  for (const char* route : {"/v1/answer", "/v1/explain"}) {
    for (const UnreadField& row : unread_fields()) {
      if (read.contains(row.name)) continue;
      json body = question();
      body[row.name] = {{"x", 1}};
      const httplib::Result result = client->Post(route, body.dump(), "application/json");
      EXPECT_EQ(result->status, row.neutral == nullptr ? 200 : 400) << route << " " << row.name;
      if (row.neutral != nullptr) {
        EXPECT_EQ(json::parse(result->body)["error"]["param"], row.name);
      }
      const httplib::UploadFormDataItems form = {
          {"image", "IMG", "", ""}, {"question", "what?", "", ""}, {row.name, "{\"x\": 1}", "", ""}};
      EXPECT_EQ(client->Post(route, form)->status, result->status) << route << " " << row.name;
    }
  }
}

TEST_F(ChatFieldsTest, AnExplanationHasNoRouting) {
  json body = question();
  body["routing"] = "record";
  const httplib::Result result = client->Post("/v1/explain", body.dump(), "application/json");
  EXPECT_EQ(result->status, 400);
  EXPECT_EQ(json::parse(result->body)["error"]["param"], "routing");
}

}  // namespace
}  // namespace sf::server
