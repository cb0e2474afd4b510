// POST /v1/explain in front of a service that explains what it is told.
#include "tests/server/http/http_fixture.h"

namespace sf::server {
namespace {

class ExplainApiTest : public HttpFixture {
 protected:
  httplib::Result explain(const nlohmann::json& body) {
    return client->Post("/v1/explain", body.dump(), "application/json");
  }
};

TEST_F(ExplainApiTest, AnswersTheExplainObject) {
  service.explanation.explanation.answer = "red";
  service.explanation.explanation.method = HeatmapMethod::kRollout;
  service.explanation.explanation.rows = 1;
  service.explanation.explanation.columns = 2;
  service.explanation.explanation.tokens = {{"red", 7, -0.5f, {0.25f, 0.75f}}};
  start();
  const httplib::Result result = explain(question());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
  EXPECT_EQ(result->get_header_value("X-Model-Version"), "3");
  const nlohmann::json body = nlohmann::json::parse(result->body);
  EXPECT_EQ(body["id"], result->get_header_value("X-Request-Id"));
  EXPECT_EQ(body["model"], "sparsefusion");
  EXPECT_EQ(body["model_version"], 3);
  EXPECT_EQ(body["answer"], "red");
  EXPECT_EQ(body["method"], "rollout");
  EXPECT_EQ(body["image"]["grid"], nlohmann::json({1, 2}));
  EXPECT_EQ(body["tokens"][0]["heatmap"], nlohmann::json({0.25, 0.75}));
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "200");
}

TEST_F(ExplainApiTest, PassesEveryOptionOn) {
  start();
  nlohmann::json body = question("the picture");
  body.update({{"method", "attention"},
               {"layer", 1},
               {"head", 2},
               {"lens_top", 3},
               {"max_tokens", 4},
               {"token", 5},
               {"format", "png"},
               {"timeout_ms", 900}});
  ASSERT_TRUE(explain(body));
  const ExplainRequest request = service.explain_requests().at(0);
  EXPECT_EQ(request.options.method, HeatmapMethod::kAttention);
  EXPECT_EQ(request.options.layer, 1);
  EXPECT_EQ(request.options.head, 2);
  EXPECT_EQ(request.options.lens_top, 3);
  EXPECT_EQ(request.options.max_tokens, 4);
  EXPECT_TRUE(request.image);
  EXPECT_EQ(request.image_token, 5);
  EXPECT_EQ(request.question.timeout_ms, 900);
  EXPECT_EQ(request.question.messages[0].parts[0].data, "the picture");
}

TEST_F(ExplainApiTest, TakesAFormAndAnswersAImage) {
  service.explanation.png = "PNG bytes";
  start();
  const httplib::UploadFormDataItems form = {{"image", "picture", "", ""},
                                             {"question", "what shape?", "", ""},
                                             {"method", "occlusion", "", ""},
                                             {"format", "png", "", ""}};
  const httplib::Result result = client->Post("/v1/explain", form);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("Content-Type"), "image/png");
  EXPECT_EQ(result->body, "PNG bytes");
  EXPECT_EQ(service.explain_requests().at(0).options.method, HeatmapMethod::kOcclusion);
}

TEST_F(ExplainApiTest, NamesTheFieldThatIsWrong) {
  start();
  const auto param_of = [&](const std::string& name, const nlohmann::json& value) -> std::string {
    nlohmann::json body = question();
    body[name] = value;
    const httplib::Result result = explain(body);
    EXPECT_EQ(result->status, 400) << name;
    return nlohmann::json::parse(result->body)["error"]["param"];
  };
  EXPECT_EQ(param_of("method", "saliency"), "method");
  EXPECT_EQ(param_of("method", 3), "method");
  EXPECT_EQ(param_of("layer", "last"), "layer");
  EXPECT_EQ(param_of("lens_top", 99), "lens_top");
  EXPECT_EQ(param_of("stream", true), "stream");
  EXPECT_EQ(param_of("format", "gif"), "format");
  EXPECT_EQ(service.rejected().size(), 6u);
}

TEST_F(ExplainApiTest, SaysWhenToComeBack) {
  service.submit_error =
      Error(Code::kResourceExhausted, "at most 1 explanation runs at a time", "", Reason::kQueueFull);
  start();
  const httplib::Result result = explain(question());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 429);
  EXPECT_EQ(result->get_header_value("Retry-After"), "7");
}

TEST_F(ExplainApiTest, AClientThatLeavesIsNoticed) {
  service.hang_explain = true;
  start();
  client->set_read_timeout(0, 200'000);
  EXPECT_FALSE(explain(question()));
  client->stop();
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "499");
}

TEST_F(ExplainApiTest, GetIsNotAllowed) {
  start();
  EXPECT_EQ(client->Get("/v1/explain")->status, 405);
}

}  // namespace
}  // namespace sf::server
