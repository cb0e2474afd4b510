#include "server/kserve/bytes_tensor.h"
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr const char* kInfer = "/v2/models/sparsefusion/infer";

class KserveInferTest : public HttpFixture {
 protected:
  static json tensor(const std::string& name, const json& data) {
    return {{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", json::array({data})}};
  }
  static json binary_tensor(const std::string& name, size_t size) {
    return {{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}, {"parameters", {{"binary_data_size", size}}}};
  }
  static json infer() {
    return {{"id", "mine"},
            {"inputs", json::array({tensor("IMAGE", encode_base64("picture")), tensor("QUESTION", "what shape?")})}};
  }
  httplib::Result post(const json& body, const std::string& path = kInfer) {
    return client->Post(path, body.dump(), "application/json");
  }
  // The tensors' bytes after the JSON.
  httplib::Result post_binary(const json& body, const std::string& raw, std::optional<size_t> json_bytes = {}) {
    const std::string text = body.dump();
    const httplib::Headers headers = {
        {"Inference-Header-Content-Length", std::to_string(json_bytes.value_or(text.size()))}};
    return client->Post(kInfer, headers, text + raw, "application/octet-stream");
  }
  static json binary_infer(size_t image_size, size_t question_size) {
    return {{"inputs", json::array({binary_tensor("IMAGE", image_size), binary_tensor("QUESTION", question_size)})},
            {"parameters", {{"binary_data_output", true}}}};
  }
  // The message of a 400, "" for anything else.
  static std::string refusal(const httplib::Result& result) {
    if (!result || result->status != 400) return "";
    return json::parse(result->body)["error"];
  }
};

TEST_F(KserveInferTest, AnswersJsonWithJson) {
  service.deltas = {"red", " circle"};
  start();
  const httplib::Result result = post(infer());
  ASSERT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
  EXPECT_FALSE(result->has_header("Inference-Header-Content-Length"));
  const json body = json::parse(result->body);
  EXPECT_EQ(body["model_name"], "sparsefusion");
  EXPECT_EQ(body["model_version"], "3");
  EXPECT_EQ(body["id"], "mine");
  EXPECT_EQ(body["parameters"]["finish_reason"], "stop");
  EXPECT_EQ(body["parameters"]["prompt_tokens"], 20);
  const json expected = {{"name", "ANSWER"}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", {"red circle"}}};
  EXPECT_EQ(body["outputs"], json::array({expected}));
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.api, "kserve_rest");
  EXPECT_EQ(seen.model, "sparsefusion");
  EXPECT_EQ(seen.messages.at(0).parts.at(0).data, "picture");
  EXPECT_EQ(seen.messages.at(0).parts.at(1).data, "what shape?");
  const auto finished = service.wait_for_finished(1);
  EXPECT_EQ(finished.at(0).api, "kserve_rest");
  EXPECT_EQ(finished.at(0).code, "200");
  EXPECT_TRUE(finished.at(0).has_summary);
}

TEST_F(KserveInferTest, TakesAndGivesBinaryTensors) {
  start();
  const std::string image("\x89PNG\0\xff raw", 10);
  const std::string raw_image = join_bytes_tensor({image}), raw_question = join_bytes_tensor({"what shape?"});
  const httplib::Result result =
      post_binary(binary_infer(raw_image.size(), raw_question.size()), raw_image + raw_question);
  ASSERT_EQ(result->status, 200) << result->body;
  EXPECT_EQ(service.requests().at(0).messages.at(0).parts.at(0).data, image);
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/octet-stream");
  const size_t json_bytes = std::stoul(result->get_header_value("Inference-Header-Content-Length"));
  const json body = json::parse(result->body.substr(0, json_bytes));
  const std::string raw = result->body.substr(json_bytes);
  EXPECT_EQ(raw, join_bytes_tensor({"circle"}));
  EXPECT_EQ(body["outputs"][0]["parameters"]["binary_data_size"], raw.size());
  EXPECT_FALSE(body["outputs"][0].contains("data"));
  EXPECT_FALSE(body.contains("id"));
}

TEST_F(KserveInferTest, AnOutputsOwnWordCountsBeforeTheRequests) {
  start();
  struct Case {
    json parameters, output_parameters;
    bool binary;
  };
  const json none = json::object();
  const Case cases[] = {{none, none, false},
                        {{{"binary_data_output", true}}, none, true},
                        {none, {{"binary_data", true}}, true},
                        {{{"binary_data_output", true}}, {{"binary_data", false}}, false}};
  for (const Case& c : cases) {
    json body = infer();
    body["parameters"] = c.parameters;
    body["outputs"] = json::array({{{"name", "ANSWER"}, {"parameters", c.output_parameters}}});
    EXPECT_EQ(post(body)->has_header("Inference-Header-Content-Length"), c.binary) << body["parameters"];
  }
}

TEST_F(KserveInferTest, MixesJsonAndBinaryInputs) {
  start();
  const std::string raw = join_bytes_tensor({"picture"});
  json body = infer();
  body["inputs"] = json::array({tensor("QUESTION", "q"), binary_tensor("IMAGE", raw.size())});
  ASSERT_EQ(post_binary(body, raw)->status, 200);
  EXPECT_EQ(service.requests().at(0).messages.at(0).parts.at(0).data, "picture");
}

TEST_F(KserveInferTest, PassesParametersOn) {
  start();
  json body = infer();
  body["parameters"] = {{"max_tokens", 7},    {"temperature", 0.5}, {"top_p", 0.25}, {"top_k", 3},
                        {"seed", UINT64_MAX}, {"stop", {"x", "y"}}, {"priority", 2}, {"timeout", 1'234'000}};
  ASSERT_EQ(post(body, "/v2/models/sparsefusion/versions/3/infer")->status, 200);
  const AnswerRequest seen = service.requests().at(0);
  EXPECT_EQ(seen.sampling.max_tokens, 7);
  EXPECT_EQ(seen.sampling.temperature, 0.5f);
  EXPECT_EQ(seen.sampling.seed, UINT64_MAX);
  EXPECT_EQ(seen.stop, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(seen.priority, Priority::kBatch);
  EXPECT_EQ(seen.timeout_ms, 1234);
}

TEST_F(KserveInferTest, NamesWhatIsWrongWithATensor) {
  start();
  struct Case {
    json inputs;
    const char* says;
  };
  const json image = tensor("IMAGE", encode_base64("p")), question = tensor("QUESTION", "q");
  const auto with = [](json base, const char* key, const json& value) {
    base[key] = value;
    return base;
  };
  const Case cases[] = {
      {json::array({image}), "QUESTION is missing"},
      {json::array(), "IMAGE is missing"},
      {"text", "inputs: must be an array"},
      {json::array({5}), "inputs: each must be an object"},
      {json(std::vector<json>(17, image)), "at most 16"},
      {json::array({image, image, question}), "IMAGE: given twice"},
      {json::array({with(image, "name", "PICTURE"), question}), "unknown input PICTURE"},
      {json::array({with(image, "name", nullptr), question}), "no name"},
      {json::array({with(image, "datatype", "UINT8"), question}), "IMAGE: datatype must be BYTES, got UINT8"},
      {json::array({with(image, "shape", {2}), question}), "IMAGE: data must be an array of 2 strings"},
      {json::array({with(image, "shape", {1, 2}), question}), "IMAGE: shape must be [n] or [n,1], got [1,2]"},
      {json::array({with(image, "shape", {0}), question}), "got [0]"},
      {json::array({image, with(question, "shape", {33})}), "QUESTION: at most 32 elements (max_batch), got [33]"},
      {json::array({with(with(image, "shape", {2}), "data", {"cA==", "cA=="}), question}),
       "IMAGE: must have one element or as many as QUESTION, which has 1; has 2"},
      {json::array({with(image, "shape", {-1}), question}), "got [-1]"},
      {json::array({with(image, "shape", json::array()), question}), "got []"},
      {json::array({with(image, "shape", {4294967296, 4294967296, 4294967296}), question}), "IMAGE: shape"},
      {json::array({with(image, "shape", "1"), question}), "IMAGE: shape must be an array"},
      {json::array({with(image, "shape", {"1"}), question}), "shape"},
      {json::array({with(image, "data", json::array()), question}), "IMAGE: data must be an array of one string"},
      {json::array({with(image, "data", {"a", "b"}), question}), "IMAGE: data must be"},
      {json::array({with(image, "data", {5}), question}), "IMAGE: data must be"},
      {json::array({with(image, "data", encode_base64("p")), question}), "IMAGE: data must be"},
      {json::array({with(image, "data", nullptr), question}), "IMAGE: has neither data"},
      {json::array({with(image, "data", {"%%%"}), question}), "IMAGE"},
      {json::array({with(image, "parameters", {{"shared_memory_region", "r"}}), question}), "shared_memory_region"},
      {json::array({with(image, "parameters", {{"binary_data_size", 3}}), question}), "IMAGE: has data and binary"},
      {json::array({with(image, "parameters", 5), question}), "IMAGE.parameters"},
      {json::array({image, with(question, "data", {" "})}), "question: must not be empty"},
  };
  for (const Case& c : cases) {
    json body = infer();
    body["inputs"] = c.inputs;
    EXPECT_NE(refusal(post(body)).find(c.says), std::string::npos) << c.inputs << "\n" << refusal(post(body));
  }
  EXPECT_TRUE(service.requests().empty());
  EXPECT_EQ(service.rejected().back().api, "kserve_rest");
  // Nested as the shape is: allowed.
  json nested = infer();
  nested["inputs"][1]["data"] = json::array({json::array({"q"})});
  EXPECT_EQ(post(nested)->status, 200);
}

TEST_F(KserveInferTest, ABatchOfQuestionsGetsAnAnswerEach) {
  start();
  json body = infer();
  body["inputs"][1]["shape"] = {3, 1};
  for (const json& data : {json{"q0", "q1", "q2"}, json{{"q0"}, {"q1"}, {"q2"}}}) {
    body["inputs"][1]["data"] = data;
    const size_t seen_before = service.requests().size();
    const httplib::Result result = post(body);
    ASSERT_EQ(result->status, 200) << result->body;
    const json output = json::parse(result->body)["outputs"][0];
    EXPECT_EQ(output["shape"], json({3, 1}));
    EXPECT_EQ(output["data"], json({"circle", "circle", "circle"}));
    ASSERT_EQ(service.requests().size(), seen_before + 3);
    EXPECT_EQ(service.requests().back().messages.at(0).parts.at(0).data, "picture");
    EXPECT_EQ(service.requests().back().messages.at(0).parts.at(1).data, "q2");
  }
  const std::string images = join_bytes_tensor({"p0", "p1"}), questions = join_bytes_tensor({"q0", "q1"});
  json binary = binary_infer(images.size(), questions.size());
  for (json& input : binary["inputs"]) input["shape"] = {2};
  const httplib::Result result = post_binary(binary, images + questions);
  ASSERT_EQ(result->status, 200) << result->body;
  const size_t json_bytes = std::stoul(result->get_header_value("Inference-Header-Content-Length"));
  EXPECT_EQ(result->body.substr(json_bytes), join_bytes_tensor({"circle", "circle"}));
  EXPECT_EQ(service.requests().back().messages.at(0).parts.at(0).data, "p1");
  const json stats = json::parse(client->Get("/v2/models/sparsefusion/stats")->body)["model_stats"][0];
  EXPECT_EQ(stats["inference_count"], 8);
  EXPECT_EQ(stats["inference_stats"]["success"]["count"], 3);
}

TEST_F(KserveInferTest, FieldsThatItDoesNotReadAreNamed) {
  start();
  for (const char* name : {"max_tokens", "foo"}) {
    json body = infer();
    body[name] = 1;
    EXPECT_NE(refusal(post(body)).find(name), std::string::npos);
    body = infer();
    body["inputs"][1][name] = 1;
    EXPECT_NE(refusal(post(body)).find(name), std::string::npos);
  }
}

TEST_F(KserveInferTest, ATimeoutIsNeverTooLong) {
  start();
  json body = infer();
  body["parameters"] = {{"timeout", 18446744073709551615u}};
  EXPECT_EQ(post(body)->status, 200);
}

TEST_F(KserveInferTest, StreamMaySayThatItIsNone) {
  start();
  json body = infer();
  body["parameters"] = {{"stream", false}};
  EXPECT_EQ(post(body)->status, 200);
  body["parameters"] = {{"stream", true}};
  EXPECT_NE(refusal(post(body)).find("stream: must be false here"), std::string::npos);
}

TEST_F(KserveInferTest, NamesWhatIsWrongWithABinaryPart) {
  start();
  const std::string image = join_bytes_tensor({"p"}), question = join_bytes_tensor({"q"});
  const auto binary = [&](size_t image_size, size_t question_size, const std::string& raw) {
    return refusal(post_binary(binary_infer(image_size, question_size), raw));
  };
  EXPECT_EQ(binary(5, 5, image + question), "");  // as it should be
  EXPECT_NE(binary(5, 5, image).find("QUESTION: binary_data_size is 5, 0 bytes are left"), std::string::npos);
  EXPECT_NE(binary(SIZE_MAX, 5, image + question).find("IMAGE: binary_data_size"), std::string::npos);
  EXPECT_NE(binary(5, 5, image + question + "x").find("1 bytes after the last tensor"), std::string::npos);
  EXPECT_NE(binary(4, 6, image + question).find("IMAGE: element 0 claims 1 bytes, 0 are left"), std::string::npos);
  EXPECT_NE(binary(3, 7, image + question).find("IMAGE: the data ends"), std::string::npos);
  EXPECT_NE(binary(5, 5, image + std::string("\xff\xff\xff\xffq", 5)).find("QUESTION: element 0 claims 4294967295"),
            std::string::npos);
  json negative = binary_infer(5, 5);
  negative["inputs"][0]["parameters"]["binary_data_size"] = -5;
  EXPECT_NE(refusal(post_binary(negative, image + question)).find("binary_data_size"), std::string::npos);
  // The header.
  EXPECT_NE(refusal(post_binary(infer(), "", 1 << 20)).find("Inference-Header-Content-Length: is"), std::string::npos);
  EXPECT_NE(refusal(post_binary(infer(), "", 0)).find("body"), std::string::npos);
  const httplib::Headers words = {{"Inference-Header-Content-Length", "-1"}};
  const std::string refused = refusal(client->Post(kInfer, words, infer().dump(), "application/json"));
  EXPECT_NE(refused.find("Inference-Header-Content-Length"), std::string::npos);
}

TEST_F(KserveInferTest, NamesWhatIsWrongWithTheRest) {
  start();
  struct Case {
    json change;
    const char* says;
  };
  const Case cases[] = {
      {{{"parameters", {{"max_token", 5}}}}, "unknown parameter max_token"},
      {{{"parameters", {{"max_tokens", "5"}}}}, "max_tokens: must be an integer"},
      {{{"parameters", {{"max_tokens", json::object()}}}}, "max_tokens"},
      {{{"parameters", {{"sequence_id", 1}}}}, "sequence_id"},
      {{{"parameters", 5}}, "parameters: must be an object"},
      {{{"outputs", json::array({{{"name", "LOGITS"}}})}}, "unknown output LOGITS"},
      {{{"outputs", json::array({{{"name", "ANSWER"}}, {{"name", "ANSWER"}}})}}, "asked for twice"},
      {{{"outputs", json::array({{{"name", "ANSWER"}, {"parameters", {{"classification", 2}}}}})}}, "classification"},
      {{{"id", std::string(257, 'x')}}, "id: at most 256"},
      {{{"id", 5}}, "id: must be a string"}};
  for (const Case& c : cases) {
    json body = infer();
    body.update(c.change);
    EXPECT_NE(refusal(post(body)).find(c.says), std::string::npos) << c.change << refusal(post(body));
  }
  EXPECT_EQ(client->Post(kInfer, "{", "application/json")->status, 400);
  EXPECT_EQ(client->Post(kInfer, infer().dump(), "text/plain")->status, 415);
  EXPECT_EQ(client->Post(kInfer, httplib::Headers{{"Content-Encoding", "gzip"}}, infer().dump(), "")->status, 415);
}

TEST_F(KserveInferTest, KnowsItsModelsAndVersions) {
  start();
  EXPECT_EQ(post(infer(), "/v2/models/other/infer")->status, 404);
  EXPECT_EQ(post(infer(), "/v2/models/sparsefusion/versions/2/infer")->status, 404);
  EXPECT_EQ(post(infer(), "/v2/models/sparsefusion/versions/03/infer")->status, 404);
  const httplib::Result decoupled = post(infer(), "/v2/models/sparsefusion_stream/infer");
  EXPECT_NE(refusal(decoupled).find("decoupled"), std::string::npos);
  EXPECT_TRUE(service.requests().empty());
  service.published = false;
  const httplib::Result loading = post(infer());
  EXPECT_EQ(loading->status, 503);
  EXPECT_EQ(loading->get_header_value("Retry-After"), "7");
}

TEST_F(KserveInferTest, FailsInTheProtocolsForm) {
  service.submit_error = Error(Code::kResourceExhausted, "full", "", Reason::kQueueFull);
  start();
  const httplib::Result full = post(infer());
  EXPECT_EQ(full->status, 429);
  EXPECT_EQ(full->get_header_value("Retry-After"), "7");
  EXPECT_EQ(json::parse(full->body), json({{"error", "full"}}));
  service.submit_error.reset();
  service.stream_error = Error(Code::kInternal, "secret");
  const httplib::Result internal = post(infer());
  EXPECT_EQ(internal->status, 500);
  EXPECT_EQ(internal->body.find("secret"), std::string::npos);
  const json stats = json::parse(client->Get("/v2/models/sparsefusion/stats")->body)["model_stats"][0];
  EXPECT_EQ(stats["inference_stats"]["fail"]["count"], 2);
  EXPECT_EQ(stats["inference_count"], 0);
}

// tritonclient sends no Content-Type.
TEST_F(KserveInferTest, FreesTheSlotWhenTheClientLeaves) {
  service.hang_before_text = true;
  start();
  const std::string body = infer().dump();
  RawConnection connection(port());
  connection.send(std::string("POST ") + kInfer +
                  " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_EQ(service.wait_for_submitted(1), 1);
  connection.close();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

}  // namespace
}  // namespace sf::server
