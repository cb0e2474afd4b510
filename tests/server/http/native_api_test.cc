#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

class NativeApiTest : public HttpFixture {};

json replay_of(const json& layers, const json& ids) {
  return {{"replay", {{"layers", layers}, {"top_k", 2}, {"ids", ids}}}};
}

TEST_F(NativeApiTest, AnswersJsonWithTheWholeObject) {
  service.deltas = {"red", " circle"};
  start();
  const httplib::Result result = post_json(question(), {{"X-Request-Id", "my-id.1"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("X-Request-Id"), "my-id.1");
  EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
  const json body = json::parse(result->body);
  EXPECT_EQ(body, json::parse(R"({"id":"my-id.1","answer":"red circle","model":"sparsefusion","model_version":3,
      "finish_reason":"stop",
      "usage":{"image_tokens":9,"prompt_tokens":20,"completion_tokens":2,"cached_tokens":2},
      "moe":{"assigned_tokens":40,"overflow_tokens":1},
      "timings":{"queue_ms":0.5,"image_ms":1.25,"prefill_ms":2.0,"decode_ms":3.0,"total_ms":6.75}})"));
  const auto finished = service.wait_for_finished(1);
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0].code, "200");
  EXPECT_EQ(finished[0].api, "rest");
  EXPECT_EQ(finished[0].model_version, 3);
  EXPECT_TRUE(finished[0].has_summary);
}

TEST_F(NativeApiTest, PassesEveryParameterOn) {
  start();
  json body = question("bytes\xff");
  body.update({{"max_tokens", 5},
               {"temperature", 0.5},
               {"top_p", 0.25},
               {"top_k", 7},
               {"seed", 18446744073709551615u},
               {"stop", {"x", "y"}},
               {"priority", "batch"},
               {"timeout_ms", 1234},
               {"model", "sparsefusion"},
               {"user", "somebody"},  // cannot change the answer
               {"min_p", 0},          // would, but for this value
               {"explain", false},
               {"choices", nullptr}});
  ASSERT_EQ(post_json(body)->status, 200);
  const AnswerRequest seen = service.requests().at(0);
  ASSERT_EQ(seen.messages.size(), 1u);
  EXPECT_EQ(seen.messages[0].role, "user");
  EXPECT_EQ(seen.messages[0].parts.at(0).kind, Part::Kind::kImage);
  EXPECT_EQ(seen.messages[0].parts.at(0).data, "bytes\xff");
  EXPECT_EQ(seen.messages[0].parts.at(1).data, "what shape?");
  EXPECT_EQ(seen.sampling.max_tokens, 5);
  EXPECT_EQ(seen.sampling.temperature, 0.5f);
  EXPECT_EQ(seen.sampling.top_p, 0.25f);
  EXPECT_EQ(seen.sampling.top_k, 7);
  EXPECT_EQ(seen.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(seen.stop, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(seen.priority, Priority::kBatch);
  EXPECT_EQ(seen.timeout_ms, 1234);
  EXPECT_EQ(seen.model, "sparsefusion");
  EXPECT_EQ(seen.api, "rest");
  EXPECT_EQ(seen.body_bytes, body.dump().size());
}

TEST_F(NativeApiTest, LeavesDefaultsToTheService) {
  start();
  ASSERT_EQ(post_json(question())->status, 200);
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.sampling.max_tokens, 256);
  EXPECT_LT(seen.sampling.temperature, 0);
  EXPECT_EQ(seen.timeout_ms, 0);
  EXPECT_EQ(seen.priority, Priority::kInteractive);
  EXPECT_EQ(seen.model, "");
  EXPECT_FALSE(seen.request_id.empty());
}

TEST_F(NativeApiTest, AFormCarriesAsManyChoicesAsJson) {
  start();
  httplib::UploadFormDataItems items = {{"image", "IMG", "scene.png", "image/png"}, {"question", "what?", "", ""}};
  for (int i = 0; i < 64; ++i) items.push_back({"choices", std::to_string(i), "", ""});
  EXPECT_EQ(client->Post("/v1/answer", items)->status, 200);
  ASSERT_FALSE(service.requests().empty());
  items.push_back({"choices", "one more", "", ""});
  EXPECT_EQ(client->Post("/v1/answer", items)->status, 400);
}

TEST_F(NativeApiTest, AcceptsMultipartWithAndWithoutFileName) {
  start();
  for (const char* file_name : {"scene.png", ""}) {
    const httplib::UploadFormDataItems items = {
        {"image", std::string("a\0b", 3), file_name, file_name[0] ? "image/png" : ""},
        {"question", "what?", "", ""},
        {"max_tokens", "3", "", ""},
        {"stop", "x", "", ""},
        {"stop", "y", "", ""},
        {"metadata", "ignored", "", ""},
        {"min_p", "0.0", "", ""}};
    const httplib::Result result = client->Post("/v1/answer", items);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200) << result->body;
    const AnswerRequest seen = service.requests().back();
    EXPECT_EQ(seen.messages[0].parts[0].data, std::string("a\0b", 3));
    EXPECT_EQ(seen.sampling.max_tokens, 3);
    EXPECT_EQ(seen.stop.size(), 2u);
  }
}

TEST_F(NativeApiTest, AModelOfTextAloneIsAskedWithoutAImage) {
  service.reads_images = false;
  start();
  EXPECT_EQ(client->Post("/v1/answer", R"({"question": "what?"})", "application/json")->status, 200);
  EXPECT_EQ(client->Post("/v1/answer", httplib::UploadFormDataItems{{"question", "what?", "", ""}})->status, 200);
  for (const AnswerRequest& seen : service.requests()) {
    ASSERT_EQ(seen.messages.size(), 1u);
    ASSERT_EQ(seen.messages[0].parts.size(), 1u);
    EXPECT_EQ(seen.messages[0].parts[0].kind, Part::Kind::kText);
    EXPECT_EQ(seen.messages[0].parts[0].data, "what?");
  }
  // One that is there goes to the engine, which refuses it by name; one that is empty never gets that far.
  const auto empty = client->Post("/v1/answer", R"({"image": "", "question": "what?"})", "application/json");
  EXPECT_EQ(empty->status, 400);
  EXPECT_EQ(json::parse(empty->body)["error"]["param"], "image");
}

TEST_F(NativeApiTest, NamesTheFieldThatIsWrong) {
  start();
  const std::pair<const char*, json> cases[] = {{"image", 1},
                                                {"image", nullptr},
                                                {"image", ""},
                                                {"image", "not base64!"},
                                                {"image", "http://x"},
                                                {"question", nullptr},
                                                {"question", ""},
                                                {"question", " \n"},
                                                {"question", 7},
                                                {"max_tokens", 0},
                                                {"max_tokens", "5"},
                                                {"max_tokens", 1.5},
                                                {"temperature", -1},
                                                {"temperature", 2.1},
                                                {"temperature", "hot"},
                                                {"top_p", 0},
                                                {"top_p", 1.5},
                                                {"top_k", -2},
                                                {"seed", -1},
                                                {"seed", "x"},
                                                {"stop", 5},
                                                {"stop", {1}},
                                                {"stop", {""}},
                                                {"stream", "yes"},
                                                {"priority", "high"},
                                                {"priority", 1},
                                                {"timeout_ms", 0},
                                                {"timeout_ms", -5},
                                                {"model", 1},
                                                {"routing", true},
                                                {"routing", "replay"},
                                                {"routing", {{"replay", "record"}}},
                                                {"routing", replay_of(1, nullptr)},
                                                {"routing", replay_of(1, "AAA")},
                                                {"routing", replay_of(1, "AAAA")},
                                                {"routing", replay_of(-1, "AAAAAA==")},
                                                {"routing", replay_of("1", "AAAAAA==")},
                                                {"choices", json::array()},
                                                {"choices", {"a"}},
                                                {"choices", "ab"},
                                                {"choices", {"a", "a"}},
                                                {"choices", {"a", ""}},
                                                {"choices", {"a", " "}},
                                                {"choices", {"a", 1}},
                                                {"choices", {"a", std::string(257, 'x')}},
                                                {"choices", std::vector<int>(65)},
                                                {"explain", "x"},
                                                {"top_k", 1e300},
                                                {"max_token", 5},  // a misspelt name is refused, not ignored
                                                {"logprobs", true},
                                                {"min_p", 0.1},
                                                {"method", "occlusion"},  // of /v1/explain
                                                {"format", "png"},
                                                {"layer", 0},
                                                {"head", 0},
                                                {"lens_top", 3},
                                                {"token", 0}};
  for (const auto& [name, value] : cases) {
    json body = question();
    body[name] = value;
    const auto [status, error] = refusal(body);
    EXPECT_EQ(status, 400) << name << "=" << value;
    ASSERT_TRUE(error.contains("error"));
    EXPECT_EQ(error["error"]["param"], name) << value;
    EXPECT_EQ(error["error"]["type"], "invalid_request_error");
    EXPECT_TRUE(error["error"]["message"].is_string());
  }
  EXPECT_TRUE(service.requests().empty());
  EXPECT_EQ(service.wait_for_rejected(std::size(cases)).size(), std::size(cases));
  EXPECT_EQ(post_json(question())->status, 200);
}

TEST_F(NativeApiTest, RecordsTheRoutingAndTakesItBack) {
  start();
  json body = question();
  EXPECT_FALSE(json::parse(post_json(body)->body).contains("routing"));
  body["routing"] = "record";
  const json routing = json::parse(post_json(body)->body)["routing"];
  EXPECT_EQ(routing["layers"], 1);
  EXPECT_EQ(routing["top_k"], 2);
  EXPECT_EQ(routing["tokens"], 2);
  EXPECT_EQ(routing["ids"], "AwACAQAAAQA=");  // 3, 258, 0, 1 as little-endian pairs of bytes
  body["routing"] = {{"replay", routing}};    // just as it came
  ASSERT_EQ(post_json(body)->status, 200);
  const httplib::UploadFormDataItems form = {
      {"image", "bytes", "", ""}, {"question", "what?", "", ""}, {"routing", body["routing"].dump(), "", ""}};
  ASSERT_EQ(client->Post("/v1/answer", form)->status, 200);
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_FALSE(requests[0].sampling.record_routing);
  EXPECT_TRUE(requests[1].sampling.record_routing);
  for (size_t i : {2, 3}) {
    ASSERT_TRUE(requests[i].sampling.replay_routing);
    EXPECT_EQ(requests[i].sampling.replay_routing->num_layers, 1);
    EXPECT_EQ(requests[i].sampling.replay_routing->top_k, 2);
    EXPECT_EQ(requests[i].sampling.replay_routing->ids, (std::vector<uint16_t>{3, 258, 0, 1}));
  }
}

TEST_F(NativeApiTest, NamesTheFormFieldThatIsWrong) {
  start();
  const std::pair<const char*, const char*> cases[] = {
      {"max_tokens", "five"},   {"temperature", "nan"},  {"seed", "-1"},           {"stream", "maybe"},
      {"question", ""},         {"explain", "yes"},      {"max_token", "5"},       {"min_p", "0.1"},
      {"max_token", "{\"a\":"}, {"method", "occlusion"}, {"question", "\xff\xfe"}, {"choices", "alone"},
      {"routing", "true"},      {"routing", "{}"}};
  for (const auto& [name, value] : cases) {
    httplib::UploadFormDataItems items = {{"image", "bytes", "", ""}, {name, value, "", ""}};
    if (std::string(name) != "question") items.push_back({"question", "what?", "", ""});
    const httplib::Result result = client->Post("/v1/answer", items);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 400) << name;
    EXPECT_EQ(json::parse(result->body)["error"]["param"], name);
  }
  const httplib::Result twice =
      client->Post("/v1/answer", httplib::UploadFormDataItems{{"image", "a", "", ""}, {"image", "b", "", ""}});
  EXPECT_EQ(json::parse(twice->body)["error"]["param"], "image");
}

TEST_F(NativeApiTest, RefusesMalformedBodies) {
  start();
  for (const char* body : {"", "{", "[]", "null", "{\"image\":\"\xff\"}", "{\"question\":\"a\",\"question\":\"b\"}"}) {
    const httplib::Result result = client->Post("/v1/answer", body, "application/json");
    ASSERT_TRUE(result) << body;
    EXPECT_EQ(result->status, 400) << body;
    EXPECT_TRUE(json::accept(result->body)) << result->body;
  }
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "image/png", "application/jsonx"}) {
    EXPECT_EQ(client->Post("/v1/answer", question().dump(), type)->status, 415) << type;
  }
  EXPECT_EQ(client->Post("/v1/answer", "x", "multipart/form-data")->status, 400);
  EXPECT_EQ(client->Post("/v1/answer", "no boundary in it", "multipart/form-data; boundary=abc")->status, 400);
  EXPECT_EQ(client->Post("/v1/answer", question().dump(), "application/json; charset=utf-8")->status, 200);
}

TEST_F(NativeApiTest, MapsTheServicesErrors) {
  const std::tuple<Error, int, bool> cases[] = {
      {Error(Code::kInvalidArgument, "image: truncated", "image"), 400, false},
      {Error(Code::kInvalidArgument, "image: GIF", "image", Reason::kUnsupportedType), 415, false},
      {Error(Code::kResourceExhausted, "image: pixels", "image", Reason::kTooLarge), 413, false},
      {Error(Code::kResourceExhausted, "queue full", "", Reason::kQueueFull), 429, true},
      {Error(Code::kUnavailable, "draining", "", Reason::kDraining), 503, true},
      {Error(Code::kDeadlineExceeded, "too late"), 504, false},
      {Error(Code::kNotFound, "model", "model"), 404, false},
      {Error(Code::kInternal, "secret"), 500, false}};
  start();
  for (const auto& [error, status, has_retry_after] : cases) {
    for (const bool at_submit : {true, false}) {
      service.submit_error = at_submit ? std::optional<Error>(error) : std::nullopt;
      service.stream_error = error;
      service.deltas = {};
      for (const bool streamed : {false, true}) {
        json body = question();
        body["stream"] = streamed;
        const httplib::Result result = post_json(body);
        ASSERT_TRUE(result);
        EXPECT_EQ(result->status, status) << error.what();
        EXPECT_EQ(result->get_header_value("Retry-After"), has_retry_after ? "7" : "");
        EXPECT_EQ(result->body.find("secret"), std::string::npos);
        EXPECT_TRUE(json::parse(result->body)["error"].contains("code"));
      }
    }
  }
  EXPECT_EQ(service.finished().size(), std::size(cases) * 4);
}

TEST_F(NativeApiTest, HidesUnknownExceptions) {
  service.throw_unknown = true;
  start();
  const httplib::Result result = post_json(question(), {{"X-Request-Id", "find-me"}});
  EXPECT_EQ(result->status, 500);
  EXPECT_EQ(result->body.find("secret"), std::string::npos);
  EXPECT_NE(result->body.find("find-me"), std::string::npos);
}

TEST_F(NativeApiTest, PassesBrokenImagesToTheServiceAndItsRefusalBack) {
  service.check_image = [](const std::string& image) {
    if (image != "good") throw Error(Code::kInvalidArgument, "image: not a picture", "image", Reason::kUnsupportedType);
  };
  start();
  for (const char* image : {"GIF89a", "\x89PNG\r\n\x1a\n", "<svg/>", "II*"}) {
    const httplib::Result result = post_json(question(image));
    EXPECT_EQ(result->status, 415);
    EXPECT_EQ(json::parse(result->body)["error"]["param"], "image");
  }
  EXPECT_EQ(post_json(question("good"))->status, 200);
}

TEST_F(NativeApiTest, ListsModels) {
  start();
  const json list = json::parse(client->Get("/v1/models")->body);
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 1u);
  const json& model = list["data"][0];
  EXPECT_EQ(model["id"], "sparsefusion");
  EXPECT_EQ(model["object"], "model");
  EXPECT_EQ(model["created"], 1700000000);
  EXPECT_EQ(model["version"], 3);
  EXPECT_EQ(model["step"], 100);
  EXPECT_EQ(model["digest"], "abc");
  EXPECT_EQ(model["image_size"], 192);
  EXPECT_EQ(model["max_context"], 512);
  EXPECT_EQ(model["image_tokens"], 36);
  EXPECT_EQ(json::parse(client->Get("/v1/models/sparsefusion")->body), model);
  const httplib::Result unknown = client->Get("/v1/models/other");
  EXPECT_EQ(unknown->status, 404);
  EXPECT_EQ(json::parse(unknown->body)["error"]["param"], "model");
}

TEST_F(NativeApiTest, ListsNothingBeforeTheFirstVersion) {
  service.published = false;
  start();
  EXPECT_EQ(json::parse(client->Get("/v1/models")->body)["data"], json::array());
}

}  // namespace
}  // namespace sf::server
