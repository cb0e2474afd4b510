#include <thread>

#include "tests/server/grpc/grpc_fixture.h"

namespace sf::server {
namespace {

class GrpcLifecycleTest : public GrpcFixture {
 protected:
  enum Status { kServing = 1, kNotServing = 2 };

  // HealthCheckRequest{service} and HealthCheckResponse{status}, by hand: one field each.
  static grpc::ByteBuffer health_request(const std::string& name) {
    return to_buffer(name.empty() ? "" : field_bytes('\x0a', name));
  }
  static int health_status(const grpc::ByteBuffer& response) {
    const std::string bytes = to_bytes(response);
    return bytes.size() == 2 && bytes[0] == 8 ? bytes[1] : 0;
  }
  std::pair<grpc::StatusCode, int> check(const std::string& name) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check", grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel.get(), method, &context, health_request(name), &response);
    return {status.error_code(), health_status(response)};
  }
  void expect_that_reflection_knows_all(const std::string& version) {
    grpc::ClientContext context;
    const std::unique_ptr<RawStream> stream = reflect(context, version);
    grpc::ByteBuffer response;
    ASSERT_TRUE(stream->Write(to_buffer(kListServices)));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_NE(to_bytes(response).find("sparsefusion.v1.VisualQuestionAnswering"), std::string::npos);
    EXPECT_NE(to_bytes(response).find("grpc.health.v1.Health"), std::string::npos);
    EXPECT_NE(to_bytes(response).find("inference.GRPCInferenceService"), std::string::npos);
    ASSERT_TRUE(stream->Write(to_buffer(field_bytes('\x22', "sparsefusion.v1.AnswerRequest"))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_NE(to_bytes(response).find("max_tokens"), std::string::npos);
    ASSERT_TRUE(stream->Write(to_buffer(field_bytes('\x22', "grpc.health.v1.Health"))));  // not listed only: described
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_NE(to_bytes(response).find("HealthCheckRequest"), std::string::npos);
    ASSERT_TRUE(stream->Write(to_buffer(field_bytes('\x1a', "sparsefusion/v1/vqa.proto"))));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_NE(to_bytes(response).find("StreamAnswer"), std::string::npos);
    for (const std::string& unknown :
         {field_bytes('\x1a', "no.proto"), field_bytes('\x22', "no.Symbol"),
          field_bytes('\x2a', field_bytes('\x0a', "no.Type")), field_bytes('\x32', "no.Type")}) {
      ASSERT_TRUE(stream->Write(to_buffer(unknown)));
      ASSERT_TRUE(stream->Read(&response));
      EXPECT_NE(to_bytes(response).find("not known here"), std::string::npos);
    }
    ASSERT_TRUE(stream->Write(to_buffer("")));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_NE(to_bytes(response).find("this question is not known"), std::string::npos);
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }
  std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> watch(grpc::ClientContext& context, const std::string& name) {
    const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Watch", grpc::internal::RpcMethod::SERVER_STREAMING);
    return std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>>(
        grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(channel.get(), method, &context,
                                                                      health_request(name)));
  }
};

TEST_F(GrpcLifecycleTest, HealthSaysNotServingWhileDraining) {
  start();
  for (const char* name : {"", "sparsefusion.v1.VisualQuestionAnswering", "inference.GRPCInferenceService"}) {
    EXPECT_EQ(check(name), std::make_pair(grpc::OK, int{kServing})) << name;
  }
  EXPECT_EQ(check("unknown.Service").first, grpc::NOT_FOUND);
  server().drain();
  for (const char* name : {"", "sparsefusion.v1.VisualQuestionAnswering", "inference.GRPCInferenceService"}) {
    EXPECT_EQ(check(name), std::make_pair(grpc::OK, int{kNotServing})) << name;
  }
  // What was admitted still ends well, and so would a call that the service takes.
  EXPECT_TRUE(ask(question()).ok());
}

TEST_F(GrpcLifecycleTest, HealthIsNotServingBeforeAVersionIsPublished) {
  service.ready = false;
  start();
  EXPECT_EQ(check("").second, kNotServing);
}

TEST_F(GrpcLifecycleTest, WatchersHearOfTheDrain) {
  start();
  grpc::ClientContext context;
  const auto reader = watch(context, "");
  grpc::ByteBuffer status;
  ASSERT_TRUE(reader->Read(&status));
  EXPECT_EQ(health_status(status), kServing);
  server().drain();
  ASSERT_TRUE(reader->Read(&status));
  EXPECT_EQ(health_status(status), kNotServing);
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&status));
  reader->Finish();
}

TEST_F(GrpcLifecycleTest, ReflectionListsTheServices) {
  start();
  for (const char* version : {"v1", "v1alpha"}) expect_that_reflection_knows_all(version);
}

TEST_F(GrpcLifecycleTest, CancelsAWholeAnswerWhenTheClientLeaves) {
  service.hang_before_text = true;
  start();
  grpc::ClientContext context;
  std::thread caller([&] {
    wire::AnswerResponse response;
    EXPECT_EQ(stub->Answer(&context, question(), &response).error_code(), grpc::CANCELLED);
  });
  EXPECT_EQ(service.wait_for_submitted(1), 1);
  context.TryCancel();
  caller.join();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "CANCELLED");
}

TEST_F(GrpcLifecycleTest, CancelsAStreamWhenTheClientLeaves) {
  service.hang_after_text = true;
  start();
  grpc::ClientContext context;
  const auto reader = stub->StreamAnswer(&context, question());
  wire::StreamAnswerResponse event;
  ASSERT_TRUE(reader->Read(&event));
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::CANCELLED);
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "CANCELLED");
}

TEST_F(GrpcLifecycleTest, CancelsWhenTheCallsDeadlinePasses) {
  service.hang_before_text = true;
  start();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  wire::AnswerResponse response;
  EXPECT_EQ(stub->Answer(&context, question(), &response).error_code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "DEADLINE_EXCEEDED");
}

TEST_F(GrpcLifecycleTest, StopEndsWhatStillRuns) {
  service.hang_after_text = true;
  start();
  grpc::ClientContext context;
  const auto reader = stub->StreamAnswer(&context, question());
  wire::StreamAnswerResponse event;
  ASSERT_TRUE(reader->Read(&event));
  server().stop();
  EXPECT_EQ(service.wait_for_cancelled(1), 1);
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::UNAVAILABLE);
}

TEST_F(GrpcLifecycleTest, RefusesATakenPort) {
  start();
  GrpcServer second({.port = server().port()}, service);
  try {
    second.start();
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
  }
}

}  // namespace
}  // namespace sf::server
