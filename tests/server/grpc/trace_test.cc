#include "server/auth/api_keys.h"
#include "sparsefusion/v1/admin.grpc.pb.h"
#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

constexpr const char* kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class GrpcTraceTest : public KserveFixture {};

TEST_F(GrpcTraceTest, EveryApiKnowsTheCallersTrace) {
  start_kserve();
  grpc::ClientContext answer, infer, stream, versions;
  for (grpc::ClientContext* context : {&answer, &infer, &stream, &versions}) {
    context->AddMetadata("traceparent", kTraceparent);
  }
  wire::AnswerResponse answered;
  EXPECT_TRUE(stub->Answer(&answer, question(), &answered).ok());
  inference::ModelInferResponse inferred;
  EXPECT_TRUE(kserve->ModelInfer(&infer, KserveFixture::infer(), &inferred).ok());
  const auto call = kserve->ModelStreamInfer(&stream);
  inference::ModelStreamInferResponse response;
  EXPECT_TRUE(call->Write(KserveFixture::infer()));
  EXPECT_TRUE(call->WritesDone());
  while (call->Read(&response)) continue;
  EXPECT_TRUE(call->Finish().ok());
  wire::ListVersionsResponse listed;
  EXPECT_TRUE(wire::ModelAdmin::NewStub(channel)->ListVersions(&versions, {}, &listed).ok());
  for (const FakeRecord& record : service.wait_for_finished(4)) {
    EXPECT_EQ(record.trace.trace_id, "0af7651916cd43dd8448eb211c80319c") << record.api;
    EXPECT_EQ(record.trace.parent_id, "b7ad6b7169203331") << record.api;
  }
}

TEST_F(GrpcTraceTest, ATraceparentThatIsMalformedOrComesTwiceIsIgnored) {
  start_kserve();
  grpc::ClientContext malformed, twice;
  malformed.AddMetadata("traceparent", "00-zz");
  twice.AddMetadata("traceparent", kTraceparent);
  twice.AddMetadata("traceparent", kTraceparent);
  wire::AnswerResponse response;
  EXPECT_TRUE(stub->Answer(&malformed, question(), &response).ok());
  EXPECT_TRUE(stub->Answer(&twice, question(), &response).ok());
  for (const FakeRecord& record : service.wait_for_finished(2)) EXPECT_FALSE(record.trace.is_set());
}

TEST_F(GrpcTraceTest, ARateLimitSaysHowLongToWaitOnEveryApi) {
  KeyRing keys(parse_api_keys("alice " + hash_api_key("infer-key") + " infer 1\n"), [] { return 0.0; });
  start_kserve({.keys = &keys});
  const auto with_key = [](grpc::ClientContext& context) { context.AddMetadata("authorization", "Bearer infer-key"); };
  grpc::ClientContext first, inferred, explained;
  for (grpc::ClientContext* context : {&first, &inferred, &explained}) with_key(*context);
  wire::AnswerResponse answer;
  EXPECT_TRUE(stub->Answer(&first, question(), &answer).ok());
  inference::ModelInferResponse response;
  const grpc::Status infer_status = kserve->ModelInfer(&inferred, KserveFixture::infer(), &response);
  wire::ExplainResponse explanation;
  const grpc::Status explain_status = stub->Explain(&explained, {}, &explanation);
  for (const grpc::Status& status : {infer_status, explain_status}) {
    EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
    sparsefusion::rpc::RetryInfo retry;
    retry.ParseFromString(details(status)["RetryInfo"]);
    EXPECT_EQ(retry.retry_delay().seconds(), 60);
  }
}

}  // namespace
}  // namespace sf::server
