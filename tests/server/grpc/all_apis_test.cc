// One service behind every API: the same request gives the same answer, version and usage, whole and streamed, and
// reaches the service as the same request.
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "server/http/http_server.h"
#include "server/wire/base64.h"
#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

using nlohmann::json;

struct Outcome {
  std::string text, version, finish_reason;
  int prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  return out << o.text << " v" << o.version << " " << o.finish_reason << " " << o.prompt_tokens << "+"
             << o.completion_tokens << " (" << o.cached_tokens << ")";
}

class AllApisTest : public KserveFixture {
 protected:
  void SetUp() override {
    service.deltas = {"a red", " c\xc3\xadrcle"};
    start_kserve();
    http_ = std::make_unique<HttpServer>(HttpOptions{.port = 0}, service);
    http_->start();
    client_ = std::make_unique<httplib::Client>("127.0.0.1", http_->port());
  }
  httplib::Result post(const std::string& path, const json& body) {
    return client_->Post(path, body.dump(), "application/json");
  }

  Outcome native_rest() {
    const json body = {{"image", image64_},
                       {"question", question_},
                       {"max_tokens", 9},
                       {"temperature", 0.5},
                       {"seed", 11},
                       {"stop", {"x"}},
                       {"priority", "batch"},
                       {"timeout_ms", 20000},
                       {"min_tokens", 2},
                       {"ignore_eos", true},
                       {"presence_penalty", 0.5},
                       {"frequency_penalty", -1},
                       {"repetition_penalty", 1.5},
                       {"logit_bias", {{"5", -2}, {"7", 3}}}};
    const json answer = json::parse(post("/v1/answer", body)->body);
    const json& usage = answer["usage"];
    return {answer["answer"],           std::to_string(answer["model_version"].get<int>()),
            answer["finish_reason"],    usage["prompt_tokens"],
            usage["completion_tokens"], usage["cached_tokens"]};
  }
  Outcome openai() {
    const json image = {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64," + image64_}}}};
    const json content = json::array({image, {{"type", "text"}, {"text", question_}}});
    const json body = {{"messages", json::array({{{"role", "user"}, {"content", content}}})},
                       {"max_tokens", 9},
                       {"temperature", 0.5},
                       {"seed", 11},
                       {"stop", {"x"}},
                       {"priority", "batch"},
                       {"timeout_ms", 20000},
                       {"min_tokens", 2},
                       {"ignore_eos", true},
                       {"presence_penalty", 0.5},
                       {"frequency_penalty", -1},
                       {"repetition_penalty", 1.5},
                       {"logit_bias", {{"5", -2}, {"7", 3}}}};
    const httplib::Result result = post("/v1/chat/completions", body);
    const json answer = json::parse(result->body);
    const json& usage = answer["usage"];
    return {answer["choices"][0]["message"]["content"],
            result->get_header_value("X-Model-Version"),
            answer["choices"][0]["finish_reason"],
            usage["prompt_tokens"],
            usage["completion_tokens"],
            usage["prompt_tokens_details"]["cached_tokens"]};
  }
  static json kserve_parameters() {
    return {{"max_tokens", 9},         {"temperature", 0.5},        {"seed", 11},
            {"stop", {"x"}},           {"priority", "batch"},       {"timeout", 20'000'000},
            {"min_tokens", 2},         {"ignore_eos", true},        {"presence_penalty", 0.5},
            {"frequency_penalty", -1}, {"repetition_penalty", 1.5}, {"logit_bias", "{\"5\": -2, \"7\": 3}"}};
  }
  static Outcome outcome_of(const std::string& text, const json& answer) {
    const json& parameters = answer["parameters"];
    return {text,
            answer["model_version"],
            parameters["finish_reason"],
            parameters["prompt_tokens"],
            parameters["completion_tokens"],
            parameters["cached_tokens"]};
  }
  Outcome kserve_rest() {
    const auto tensor = [](const char* name, const std::string& data) {
      return json{{"name", name}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", json::array({data})}};
    };
    const json inputs = json::array({tensor("IMAGE", image64_), tensor("QUESTION", question_)});
    const httplib::Result result =
        post("/v2/models/sparsefusion/infer", {{"inputs", inputs}, {"parameters", kserve_parameters()}});
    const json answer = json::parse(result->body);
    return outcome_of(answer["outputs"][0]["data"][0], answer);
  }
  Outcome generate() {
    const json answer =
        json::parse(post("/v2/models/sparsefusion/generate",
                         {{"IMAGE", image64_}, {"QUESTION", question_}, {"parameters", kserve_parameters()}})
                        ->body);
    return outcome_of(answer["ANSWER"], answer);
  }
  static Request grpc_request(const std::string& model) {
    Request request = infer(model);
    auto& parameters = *request.mutable_parameters();
    parameters["max_tokens"].set_int64_param(9);
    parameters["temperature"].set_double_param(0.5);
    parameters["seed"].set_int64_param(11);
    parameters["stop"].set_string_param("x");
    parameters["priority"].set_uint64_param(2);
    parameters["timeout"].set_uint64_param(20'000'000);
    parameters["min_tokens"].set_int64_param(2);
    parameters["ignore_eos"].set_bool_param(true);
    parameters["presence_penalty"].set_double_param(0.5);
    parameters["frequency_penalty"].set_double_param(-1);
    parameters["repetition_penalty"].set_double_param(1.5);
    parameters["logit_bias"].set_string_param("{\"5\": -2, \"7\": 3}");
    return request;
  }
  static Outcome outcome_of(const std::string& text, const Response& response) {
    const auto tokens = [&](const char* name) {
      return static_cast<int>(response.parameters().at(name).int64_param());
    };
    return {text,
            response.model_version(),
            response.parameters().at("finish_reason").string_param(),
            tokens("prompt_tokens"),
            tokens("completion_tokens"),
            tokens("cached_tokens")};
  }
  Outcome kserve_grpc() {
    Response response;
    EXPECT_TRUE(ask_kserve(grpc_request("sparsefusion"), &response).ok());
    return outcome_of(answer_of(response), response);
  }
  Outcome kserve_stream() {
    grpc::ClientContext context;
    const auto stream = kserve->ModelStreamInfer(&context);
    EXPECT_TRUE(stream->Write(grpc_request("sparsefusion_stream")));
    stream->WritesDone();
    std::string text;
    Response last;
    for (inference::ModelStreamInferResponse response; stream->Read(&response);) {
      last = response.infer_response();
      text += answer_of(last);
    }
    EXPECT_TRUE(stream->Finish().ok());
    return outcome_of(text, last);
  }
  Outcome native_grpc() {
    wire::AnswerRequest request = question("picture");
    request.set_question(question_);
    request.set_max_tokens(9);
    request.set_temperature(0.5f);
    request.set_seed(11);
    request.add_stop("x");
    request.set_priority(wire::PRIORITY_BATCH);
    request.set_timeout_ms(20000);
    request.set_min_tokens(2);
    request.set_ignore_eos(true);
    request.set_presence_penalty(0.5f);
    request.set_frequency_penalty(-1);
    request.set_repetition_penalty(1.5f);
    (*request.mutable_logit_bias())[7] = 3;
    (*request.mutable_logit_bias())[5] = -2;
    wire::AnswerResponse response;
    EXPECT_TRUE(ask(request, &response).ok());
    return {response.answer(),
            std::to_string(response.model_version()),
            response.finish_reason() == wire::FINISH_REASON_STOP ? "stop" : "length",
            response.usage().prompt_tokens(),
            response.usage().completion_tokens(),
            response.usage().cached_tokens()};
  }

  const std::string image64_ = encode_base64("picture");
  const std::string question_ = "what shape?";

 private:
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(AllApisTest, GiveTheSameAnswerVersionAndUsage) {
  const Outcome expected = {"a red c\xc3\xadrcle", "3", "stop", 20, 2, 2};
  EXPECT_EQ(native_rest(), expected);
  EXPECT_EQ(openai(), expected);
  EXPECT_EQ(kserve_rest(), expected);
  EXPECT_EQ(generate(), expected);
  EXPECT_EQ(kserve_grpc(), expected);
  EXPECT_EQ(kserve_stream(), expected);
  EXPECT_EQ(native_grpc(), expected);

  const std::vector<AnswerRequest> seen = service.requests();
  ASSERT_EQ(seen.size(), 7u);
  const char* const apis[] = {"rest", "openai", "kserve_rest", "kserve_rest", "kserve_grpc", "kserve_grpc", "grpc"};
  for (size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].api, apis[i]);
    EXPECT_TRUE(seen[i].model.empty() || seen[i].model == "sparsefusion") << seen[i].model;
    ASSERT_EQ(seen[i].messages.size(), 1u) << apis[i];
    EXPECT_EQ(seen[i].messages[0].role, "user") << apis[i];
    ASSERT_EQ(seen[i].messages[0].parts.size(), 2u) << apis[i];
    EXPECT_EQ(seen[i].messages[0].parts[0].data, "picture") << apis[i];
    EXPECT_EQ(seen[i].messages[0].parts[1].data, question_) << apis[i];
    EXPECT_EQ(seen[i].sampling.max_tokens, 9) << apis[i];
    EXPECT_EQ(seen[i].sampling.temperature, 0.5f) << apis[i];
    EXPECT_EQ(seen[i].sampling.seed, 11u) << apis[i];
    EXPECT_EQ(seen[i].stop, std::vector<std::string>{"x"}) << apis[i];
    EXPECT_EQ(seen[i].priority, Priority::kBatch) << apis[i];
    EXPECT_EQ(seen[i].timeout_ms, 20000) << apis[i];
    EXPECT_EQ(seen[i].sampling.min_tokens, 2) << apis[i];
    EXPECT_TRUE(seen[i].sampling.ignore_eos) << apis[i];
    EXPECT_EQ(seen[i].sampling.presence_penalty, 0.5f) << apis[i];
    EXPECT_EQ(seen[i].sampling.frequency_penalty, -1) << apis[i];
    EXPECT_EQ(seen[i].sampling.repetition_penalty, 1.5f) << apis[i];
    EXPECT_EQ(seen[i].sampling.logit_bias, (std::vector<std::pair<int, float>>{{5, -2.0f}, {7, 3.0f}})) << apis[i];
  }
}

}  // namespace
}  // namespace sf::server
