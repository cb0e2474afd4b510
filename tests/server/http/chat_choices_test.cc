// Guided choice in the spellings of this server, vLLM and OpenAI.
#include "server/http/chat_choices.h"

#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

const json kShapes = {"square", "circle"};  // of which the fake service takes the last

class ChatChoicesTest : public HttpFixture {
 protected:
  static json chat(const json& change) {
    json body = {{"messages", {{{"role", "user"}, {"content", "what shape?"}}}}};
    body.update(change);
    return body;
  }
  static json format_of(const json& schema) {
    return {{"response_format",
             {{"type", "json_schema"}, {"json_schema", {{"name", "shape"}, {"strict", true}, {"schema", schema}}}}}};
  }
  httplib::Result post(const json& change) {
    return client->Post("/v1/chat/completions", chat(change).dump(), "application/json");
  }
  std::string content(const json& change) {
    const httplib::Result result = post(change);
    EXPECT_EQ(result->status, 200) << result->body;
    return json::parse(result->body)["choices"][0]["message"]["content"];
  }
  std::string refused(const json& change) {
    const httplib::Result result = post(change);
    EXPECT_EQ(result->status, 400) << change;
    const json error = json::parse(result->body)["error"];
    EXPECT_TRUE(error["message"].get<std::string>().starts_with(error["param"].get<std::string>())) << error;
    return error["param"];
  }
};

TEST_F(ChatChoicesTest, AreAskedForInEverySpelling) {
  start();
  EXPECT_EQ(content({{"choices", kShapes}}), "circle");
  EXPECT_EQ(content({{"guided_choice", kShapes}}), "circle");
  EXPECT_EQ(content({{"structured_outputs", {{"choice", kShapes}}}}), "circle");
  EXPECT_EQ(content({{"structured_outputs", {{"choice", kShapes}, {"disable_fallback", true}, {"regex", nullptr}}}}),
            "circle");
  for (const AnswerRequest& request : service.requests()) {
    EXPECT_EQ(request.choices, (std::vector<std::string>{"square", "circle"}));
  }
}

TEST_F(ChatChoicesTest, AnEnumIsAnsweredWithJson) {
  start();
  const json of_strings = {{"type", "string"}, {"enum", kShapes}};
  EXPECT_EQ(content(format_of(of_strings)), "\"circle\"");
  EXPECT_EQ(content(format_of({{"enum", kShapes}})), "\"circle\"");
  EXPECT_EQ(content({{"guided_json", of_strings}}), "\"circle\"");
  EXPECT_EQ(content({{"json_schema", of_strings}}), "\"circle\"");
  EXPECT_EQ(content({{"structured_outputs", {{"json", of_strings}}}}), "\"circle\"");
  EXPECT_EQ(content(format_of({{"type", "integer"}, {"enum", {1, 2}}})), "2");
  const std::string quoted = content(format_of({{"enum", {"c", "a \"b\""}}}));
  EXPECT_EQ(json::parse(quoted), "a \"b\"");
}

TEST_F(ChatChoicesTest, AnObjectOfOneEnumToo) {
  start();
  const json object = {{"type", "object"},
                       {"properties", {{"shape", {{"type", "string"}, {"enum", kShapes}}}}},
                       {"required", {"shape"}},
                       {"additionalProperties", false}};
  EXPECT_EQ(json::parse(content(format_of(object))), json({{"shape", "circle"}}));
  // As pydantic writes it.
  const json by_reference = {{"$defs", {{"Shape", {{"enum", kShapes}, {"title", "Shape"}, {"type", "string"}}}}},
                             {"properties", {{"shape", {{"$ref", "#/$defs/Shape"}}}}},
                             {"required", {"shape"}},
                             {"title", "Answer"},
                             {"type", "object"}};
  EXPECT_EQ(json::parse(content(format_of(by_reference))), json({{"shape", "circle"}}));
}

TEST_F(ChatChoicesTest, AStreamHoldsTheContentInOneDelta) {
  start();
  json change = format_of({{"enum", kShapes}});
  change["stream"] = true;
  const std::string body = post(change)->body;
  EXPECT_NE(body.find(R"("content":"\"circle\"")"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("finish_reason":"stop")"), std::string::npos) << body;
}

TEST_F(ChatChoicesTest, GoWithSeveralAnswers) {
  start();
  const json body = json::parse(post({{"guided_choice", kShapes}, {"n", 2}})->body);
  EXPECT_EQ(body["choices"].size(), 2u);
  EXPECT_EQ(service.requests().size(), 2u);
}

TEST_F(ChatChoicesTest, RefusesOtherSchemasByName) {
  start();
  const json property = {{"type", "string"}, {"enum", kShapes}};
  for (const json& schema :
       {json({{"type", "string"}}), json({{"type", "object"}}), json({{"enum", {1.5, 2.5}}}), json({{"enum", "ab"}}),
        json({{"enum", kShapes}, {"type", "integer"}}), json({{"enum", kShapes}, {"pattern", "c.*"}}),
        json({{"enum", kShapes}, {"not", {{"const", "circle"}}}}), json({{"$ref", "#"}}),
        json({{"$ref", "#/$defs/A"}, {"$defs", {{"A", {{"$ref", "#/$defs/A"}}}}}}), json({{"$ref", 5}}),
        json({{"properties", {{"a", property}, {"b", property}}}}), json({{"properties", {{"a", 5}}}}),
        json({{"properties", {{"a", property}}}, {"required", {"b"}}}),
        json({{"properties", {{"a", property}}}, {"type", "array"}}),
        json({{"properties", {{"a", property}}}, {"minProperties", 2}}),
        json({{"properties", json::array({property})}})}) {
    EXPECT_EQ(refused(format_of(schema)), "response_format") << schema;
  }
  EXPECT_EQ(refused({{"response_format", {{"type", "json_schema"}}}}), "response_format");
  EXPECT_EQ(refused({{"response_format", {{"type", "json_object"}}}}), "response_format");
  EXPECT_TRUE(service.requests().empty());
}

TEST_F(ChatChoicesTest, RefusesOtherConstraintsByName) {
  start();
  EXPECT_EQ(refused({{"structured_outputs", {{"regex", "a|b"}}}}), "structured_outputs.regex");
  EXPECT_EQ(refused({{"structured_outputs", {{"grammar", "x"}}}}), "structured_outputs.grammar");
  EXPECT_EQ(refused({{"structured_outputs", {{"json_object", true}}}}), "structured_outputs.json_object");
  EXPECT_EQ(refused({{"structured_outputs", {{"json", {{"type", "object"}}}}}}), "structured_outputs.json");
  EXPECT_EQ(refused({{"structured_outputs", "x"}}), "structured_outputs");
  EXPECT_EQ(refused({{"guided_choice", kShapes}, {"choices", kShapes}}), "guided_choice");
  EXPECT_EQ(refused({{"structured_outputs", {{"choice", kShapes}, {"json", {{"enum", kShapes}}}}}}),
            "structured_outputs");
}

TEST_F(ChatChoicesTest, LimitsCarryTheClientsName) {
  start();
  EXPECT_EQ(refused({{"guided_choice", {"a"}}}), "guided_choice");
  EXPECT_EQ(refused({{"guided_choice", {"a", "a"}}}), "guided_choice");
  EXPECT_EQ(refused({{"guided_choice", {"a", 1}}}), "guided_choice");
  EXPECT_EQ(refused({{"guided_choice", "ab"}}), "guided_choice");
  EXPECT_EQ(refused({{"structured_outputs", {{"choice", {"a", ""}}}}}), "structured_outputs.choice");
  EXPECT_EQ(refused(format_of({{"enum", {"a", std::string(300, 'x')}}})), "response_format");
  service.submit_error = invalid_argument("choices", "choices: each must be 1 to 63 tokens");
  EXPECT_EQ(refused({{"guided_choice", kShapes}}), "guided_choice");
}

}  // namespace
}  // namespace sf::server
