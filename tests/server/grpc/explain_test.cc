// Explain over gRPC: the same fields, limits and errors as POST /v1/explain.
#include "tests/server/grpc/grpc_fixture.h"

namespace sf::server {
namespace {

class GrpcExplainTest : public GrpcFixture {
 protected:
  static wire::ExplainRequest request() {
    wire::ExplainRequest request;
    *request.mutable_question() = question();
    return request;
  }
  grpc::Status explain(const wire::ExplainRequest& request, wire::ExplainResponse* response = nullptr) {
    grpc::ClientContext context;
    wire::ExplainResponse ignored;
    return stub->Explain(&context, request, response ? response : &ignored);
  }
};

TEST_F(GrpcExplainTest, AnswersTheWholeExplanation) {
  Explanation& e = service.explanation.explanation;
  e.answer = "red";
  e.method = HeatmapMethod::kOcclusion;
  e.rows = 1;
  e.columns = 2;
  e.image.width = 60;
  e.image.height = 30;
  e.tokens = {{"red", 7, -0.5f, {0.25f, 0.75f}}};
  e.num_experts = 4;
  e.top_k = 2;
  e.num_prompt_tokens = 1;
  e.routing = {{"<image>", true, {{0, 1}, {2, 3}}, {{0.75f, 0.25f}, {1, 0}}}};
  e.logit_lens = {{0, 1, {{" red", 0.5f}}, 1}};
  service.explanation.png = std::string("PNG\0bytes", 9);
  start();
  wire::ExplainResponse response;
  ASSERT_TRUE(explain(request(), &response).ok());
  EXPECT_EQ(response.answer(), "red");
  EXPECT_EQ(response.model_version(), 3);
  EXPECT_EQ(response.method(), wire::HEATMAP_METHOD_OCCLUSION);
  EXPECT_EQ(response.image().width(), 60);
  EXPECT_EQ(response.image().columns(), 2);
  ASSERT_EQ(response.tokens_size(), 1);
  EXPECT_EQ(response.tokens(0).heatmap(1), 0.75f);
  ASSERT_EQ(response.experts().tokens_size(), 1);
  EXPECT_TRUE(response.experts().tokens(0).image());
  EXPECT_EQ(response.experts().tokens(0).layers(1).ids(1), 3);
  EXPECT_EQ(response.experts().tokens(0).layers(0).gates(0), 0.75f);
  ASSERT_EQ(response.logit_lens_size(), 1);
  EXPECT_EQ(response.logit_lens(0).top(0).token(), " red");
  EXPECT_EQ(response.png().size(), 9u);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "OK");
}

TEST_F(GrpcExplainTest, PassesEveryOptionOn) {
  start();
  wire::ExplainRequest asked = request();
  asked.set_method(wire::HEATMAP_METHOD_ATTENTION);
  asked.set_layer(0);
  asked.set_head(1);
  asked.set_lens_top(0);
  asked.set_picture(true);
  asked.set_token(0);
  asked.mutable_question()->set_max_tokens(4);
  ASSERT_TRUE(explain(asked).ok());
  const ExplainRequest seen = service.explain_requests().at(0);
  EXPECT_EQ(seen.options.method, HeatmapMethod::kAttention);
  EXPECT_EQ(seen.options.layer, 0);
  EXPECT_EQ(seen.options.head, 1);
  EXPECT_EQ(seen.options.lens_top, 0);
  EXPECT_EQ(seen.options.max_tokens, 4);
  EXPECT_TRUE(seen.image);
  EXPECT_EQ(seen.image_token, 0);
  EXPECT_EQ(seen.question.api, "grpc");
}

TEST_F(GrpcExplainTest, NamesTheFieldThatIsWrong) {
  start();
  wire::ExplainRequest asked = request();
  asked.set_layer(-2);
  grpc::Status status = explain(asked);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(bad_field(status), "layer");
  asked = request();
  asked.set_method(static_cast<wire::HeatmapMethod>(77));
  EXPECT_EQ(bad_field(explain(asked)), "method");
  asked = request();
  asked.clear_question();
  EXPECT_EQ(bad_field(explain(asked)), "image");
  EXPECT_EQ(service.rejected().size(), 3u);
}

TEST_F(GrpcExplainTest, SaysWhenToComeBack) {
  service.submit_error =
      Error(Code::kResourceExhausted, "at most 1 explanation runs at a time", "", Reason::kQueueFull);
  start();
  const grpc::Status status = explain(request());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(details(status).count("RetryInfo"), 1u);
}

TEST_F(GrpcExplainTest, CancellingTheCallEndsIt) {
  service.hang_explain = true;
  start();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  wire::ExplainResponse response;
  EXPECT_EQ(stub->Explain(&context, request(), &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(service.wait_for_finished(1).size(), 1u);
}

}  // namespace
}  // namespace sf::server
