#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kGenerate = "/v2/models/sparsefusion/generate";
constexpr const char* kGenerateStream = "/v2/models/sparsefusion_stream/generate_stream";

class KserveGenerateTest : public HttpFixture {
 protected:
  static json generate() { return {{"IMAGE", encode_base64("picture")}, {"QUESTION", "what shape?"}}; }
  httplib::Result post(const std::string& path, const json& body) {
    return client->Post(path, body.dump(), "application/json");
  }
  static std::vector<json> events(const std::string& body) {
    std::vector<json> found;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find("\n\n", at);
      EXPECT_EQ(body.substr(at, 6), "data: ");
      found.push_back(json::parse(body.substr(at + 6, end - at - 6)));
      at = end + 2;
    }
    return found;
  }
};

TEST_F(KserveGenerateTest, AnswersWithTheTensorAsAKey) {
  service.deltas = {"red", " circle"};
  start();
  const httplib::Result result = post(kGenerate, generate());
  ASSERT_EQ(result->status, 200);
  const json body = json::parse(result->body);
  EXPECT_EQ(body["model_name"], "sparsefusion");
  EXPECT_EQ(body["model_version"], "3");
  EXPECT_EQ(body["ANSWER"], "red circle");
  EXPECT_EQ(body["parameters"]["completion_tokens"], 2);
  EXPECT_EQ(service.wait_for_finished(1).at(0).api, "kserve_rest");
  // As Triton's pages show it: curl -d, which calls it a form; and the decoupled name.
  EXPECT_EQ(client->Post(kGenerate, generate().dump(), "application/x-www-form-urlencoded")->status, 200);
  EXPECT_EQ(post("/v2/models/sparsefusion_stream/versions/3/generate", generate())->status, 200);
}

TEST_F(KserveGenerateTest, TakesParametersInsideAndBeside) {
  start();
  json body = generate();
  body.update({{"id", "mine"}, {"parameters", {{"max_tokens", 7}}}, {"temperature", 0.5}, {"seed", nullptr}});
  const json answer = json::parse(post(kGenerate, body)->body);
  EXPECT_EQ(answer["id"], "mine");
  EXPECT_EQ(service.requests().at(0).sampling.max_tokens, 7);
  EXPECT_EQ(service.requests().at(0).sampling.temperature, 0.5f);
  body["max_tokens"] = 8;
  EXPECT_EQ(json::parse(post(kGenerate, body)->body)["error"], "max_tokens: given twice");
}

TEST_F(KserveGenerateTest, NamesWhatIsWrong) {
  start();
  const std::pair<json, const char*> cases[] = {
      {{{"QUESTION", nullptr}}, "QUESTION is missing"}, {{{"IMAGE", nullptr}}, "IMAGE is missing"},
      {{{"IMAGE", 5}}, "IMAGE: must be a string"},      {{{"IMAGE", "!"}}, "IMAGE"},
      {{{"IMAGE", "http://x/y.png"}}, "IMAGE"},         {{{"text_input", "hello"}}, "unknown parameter text_input"}};
  for (const auto& [change, says] : cases) {
    json body = generate();
    body.update(change);
    const httplib::Result result = post(kGenerate, body);
    EXPECT_EQ(result->status, 400) << change;
    EXPECT_NE(result->body.find(says), std::string::npos) << result->body;
  }
}

TEST_F(KserveGenerateTest, ListsAreABatch) {
  start();
  json body = generate();
  body["QUESTION"] = {"q0", "q1"};
  EXPECT_EQ(json::parse(post(kGenerate, body)->body)["ANSWER"], json({"circle", "circle"}));
  body["IMAGE"] = {encode_base64("p0"), encode_base64("p1")};
  EXPECT_EQ(json::parse(post(kGenerate, body)->body)["ANSWER"], json({"circle", "circle"}));
  EXPECT_EQ(service.requests().back().messages.at(0).parts.at(0).data, "p1");
  body["QUESTION"] = {"q0"};
  body["IMAGE"] = {encode_base64("p0")};
  EXPECT_EQ(json::parse(post(kGenerate, body)->body)["ANSWER"], "circle") << "one element is no list";
  const std::pair<json, const char*> cases[] = {
      {{{"QUESTION", json::array()}}, "QUESTION: shape must be [n]"},
      {{{"QUESTION", json(std::vector<std::string>(33, "q"))}}, "QUESTION: at most 32 elements (max_batch)"},
      {{{"QUESTION", json::array({json::array({"q"})})}}, "QUESTION: data must be an array of strings"},
      {{{"IMAGE", {"cA==", "cA=="}}}, "IMAGE: must have one element or as many as QUESTION"}};
  for (const auto& [change, says] : cases) {
    json wrong = body;
    wrong.update(change);
    const httplib::Result result = post(kGenerate, wrong);
    EXPECT_EQ(result->status, 400) << change;
    EXPECT_NE(result->body.find(says), std::string::npos) << result->body;
  }
  body["QUESTION"] = {"q0", "q1"};
  EXPECT_NE(post(kGenerateStream, body)->body.find("one question a request is answered in parts"), std::string::npos);
}

TEST_F(KserveGenerateTest, StreamSaysWhatTheRouteDoes) {
  start();
  json body = generate();
  for (const bool stream : {false, true}) {
    body["parameters"] = {{"stream", stream}};
    EXPECT_EQ(post(kGenerate, body)->status, stream ? 400 : 200);
    EXPECT_EQ(post(kGenerateStream, body)->status, stream ? 200 : 400);
  }
}

TEST_F(KserveGenerateTest, StreamsAnObjectADelta) {
  service.deltas = {"red", "", " gr\xc3\xbcn"};
  start();
  for (const char* model : {"sparsefusion", "sparsefusion_stream"}) {
    json body = generate();
    body["id"] = "mine";
    const httplib::Result result = post(std::string("/v2/models/") + model + "/generate_stream", body);
    ASSERT_EQ(result->status, 200);
    EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
    EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
    const std::vector<json> found = events(result->body);
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0], json({{"model_name", model}, {"model_version", "3"}, {"id", "mine"}, {"ANSWER", "red"}}));
    EXPECT_EQ(found[1]["ANSWER"], " gr\xc3\xbcn");
    EXPECT_EQ(found[2]["ANSWER"], "");
    EXPECT_EQ(found[2]["parameters"]["triton_final_response"], true);
    EXPECT_EQ(found[2]["parameters"]["finish_reason"], "stop");
  }
  EXPECT_EQ(service.wait_for_finished(2).at(0).code, "200");
  const json stats = json::parse(client->Get("/v2/models/sparsefusion_stream/stats")->body)["model_stats"][0];
  EXPECT_EQ(stats["inference_count"], 1);
}

TEST_F(KserveGenerateTest, AFailureBeforeTheFirstTextIsAPlainError) {
  service.deltas = {};
  service.stream_error = Error(Code::kDeadlineExceeded, "too late");
  start();
  const httplib::Result result = post(kGenerateStream, generate());
  EXPECT_EQ(result->status, 504);
  EXPECT_EQ(json::parse(result->body)["error"], "too late");
}

TEST_F(KserveGenerateTest, AFailureAfterTextIsAnErrorEvent) {
  service.stream_error = Error(Code::kInternal, "secret");
  start();
  const std::vector<json> found = events(post(kGenerateStream, generate())->body);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[1]["error"].is_string());
  EXPECT_EQ(found[1].dump().find("secret"), std::string::npos);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "500");
}

TEST_F(KserveGenerateTest, PingsAndFreesTheSlotWhenTheClientLeaves) {
  service.hang_after_text = true;
  HttpOptions options;
  options.ping_interval_ms = 1;
  start(options);
  const std::string body = generate().dump();
  RawConnection connection(port());
  connection.send(std::string("POST ") + kGenerateStream +
                  " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_NE(connection.read_until(": ping\n\n").find("circle"), std::string::npos);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

}  // namespace
}  // namespace sf::server
