#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/support/client_interceptor.h>

#include "sparsefusion/v1/admin.grpc.pb.h"
#include "tests/server/grpc/grpc_fixture.h"

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AdminGrpcTest : public GrpcFixture {
 protected:
  void start_with_keys() { start({.keys = &keys_}); }
  static void add_key(grpc::ClientContext& context, const std::string& key) {
    if (!key.empty()) context.AddMetadata("authorization", "Bearer " + key);
  }
  // Any method, with an empty message.
  grpc::StatusCode call(const std::string& method_name, const std::string& key = "") {
    grpc::ClientContext context;
    add_key(context, key);
    grpc::ByteBuffer response;
    const std::string path = "/" + method_name;
    const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel.get(), method, &context,
                                                                                 to_buffer(""), &response)
        .error_code();
  }
  std::unique_ptr<wire::ModelAdmin::Stub> admin() { return wire::ModelAdmin::NewStub(channel); }

  double now_s_ = 0;
  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer 1\n" + "ops " +
                               hash_api_key("admin-key") + " admin\n"),
                [this] { return now_s_; }};
};

TEST_F(AdminGrpcTest, ListsVersions) {
  start();
  grpc::ClientContext context;
  wire::ListVersionsResponse response;
  ASSERT_TRUE(admin()->ListVersions(&context, {}, &response).ok());
  ASSERT_EQ(response.versions_size(), 3);
  EXPECT_EQ(response.versions(1).state(), wire::VERSION_STATE_SERVED);
  EXPECT_TRUE(response.versions(1).pinned());
  EXPECT_EQ(response.versions(1).score(), 0.75);
  EXPECT_EQ(response.versions(2).state(), wire::VERSION_STATE_QUARANTINED);
  EXPECT_EQ(response.versions(2).reason(), "canary");
  EXPECT_FALSE(response.versions(2).has_score());
}

TEST_F(AdminGrpcTest, ShowsExperts) {
  start();
  grpc::ClientContext context;
  wire::ExpertStatsResponse response;
  ASSERT_TRUE(admin()->ExpertStats(&context, {}, &response).ok());
  EXPECT_EQ(response.model_version(), 3);
  ASSERT_EQ(response.layers_size(), 2);
  EXPECT_FALSE(response.layers(0).has_window());
  EXPECT_EQ(response.layers(1).window().dead_experts(), 1);
  EXPECT_EQ(response.layers(1).experts(2).image().tokens(), 40);
  EXPECT_EQ(response.layers(1).experts(2).text().gate_mass(), 5.25);
  service.model_admin->served = false;
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/ExpertStats"), grpc::UNAVAILABLE);
}

TEST_F(AdminGrpcTest, TheKeyMayComeInXApiKey) {
  start_with_keys();
  const auto list = [&](const std::string& authorization, const std::string& api_key) {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    context.AddMetadata("x-api-key", api_key);
    wire::ListVersionsResponse response;
    return admin()->ListVersions(&context, {}, &response).error_code();
  };
  EXPECT_EQ(list("", "admin-key"), grpc::OK);
  EXPECT_EQ(list("", "wrong"), grpc::UNAUTHENTICATED);
  EXPECT_EQ(list("Bearer admin-key", "admin-key"), grpc::OK);
  EXPECT_EQ(list("Bearer admin-key", "infer-key"), grpc::UNAUTHENTICATED);
}

TEST_F(AdminGrpcTest, WithoutKeysThereAreNoCommands) {
  start();
  for (const char* command : {"LoadVersion", "Pin", "Unpin", "Rollback"}) {
    EXPECT_EQ(call(std::string("sparsefusion.v1.ModelAdmin/") + command), grpc::UNIMPLEMENTED) << command;
  }
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(AdminGrpcTest, CommandsNeedTheScope) {
  start_with_keys();
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/Pin", "infer-key"), grpc::PERMISSION_DENIED);
  grpc::ClientContext context;
  add_key(context, "admin-key");
  wire::LoadVersionRequest request;
  request.set_version(2);
  wire::VersionsResponse response;
  ASSERT_TRUE(admin()->LoadVersion(&context, request, &response).ok());
  EXPECT_EQ(response.version(), 2);
  EXPECT_EQ(response.versions_size(), 3);
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/LoadVersion", "admin-key"), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/Pin", "admin-key"), grpc::OK);
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/Unpin", "admin-key"), grpc::OK);
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/Rollback", "admin-key"), grpc::OK);
  EXPECT_THAT(service.model_admin->commands(), ElementsAre("load 2", "pin 0", "unpin", "rollback"));
  service.model_admin->error = Error(Code::kFailedPrecondition, "version 4: canary", "version");
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/Pin", "admin-key"), grpc::FAILED_PRECONDITION);
}

// Every method of every service that this program links, as their descriptors say: one that somebody adds without
// asking for a key fails here.
TEST_F(AdminGrpcTest, WithoutAKeyOnlyHealthAnswers) {
  start_with_keys();
  int num_methods = 0;
  for (const char* name :
       {"sparsefusion.v1.VisualQuestionAnswering", "sparsefusion.v1.ModelAdmin", "inference.GRPCInferenceService"}) {
    const auto* service_type = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    for (int i = 0; service_type != nullptr && i < service_type->method_count(); ++i) {
      const std::string method = concat(name, "/", service_type->method(i)->name());
      for (const char* key : {"", "wrong"}) {
        const grpc::StatusCode code = call(method, key);
        const bool is_health = method.ends_with("/ServerLive") || method.ends_with("/ServerReady");
        EXPECT_TRUE(is_health ? code == grpc::OK : code == grpc::UNAUTHENTICATED || code == grpc::UNIMPLEMENTED)
            << method << " says " << code;
      }
      ++num_methods;
    }
  }
  EXPECT_GE(num_methods, 8);
  EXPECT_EQ(call("sparsefusion.v1.VisualQuestionAnswering/Answer"), grpc::UNAUTHENTICATED);
  EXPECT_EQ(call("sparsefusion.v1.ModelAdmin/ListVersions"), grpc::UNAUTHENTICATED);
  EXPECT_EQ(call("grpc.health.v1.Health/Check"), grpc::OK);
  EXPECT_THAT(service.requests(), IsEmpty());
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(AdminGrpcTest, ReflectionNeedsAKeyToo) {
  start_with_keys();
  const auto lists_services = [&](const std::string& key) {
    grpc::ClientContext context;
    if (!key.empty()) add_key(context, key);
    const std::unique_ptr<RawStream> stream = reflect(context);
    grpc::ByteBuffer response;
    stream->Write(to_buffer(kListServices));
    const bool answered = stream->Read(&response);
    stream->WritesDone();
    return stream->Finish().ok() && answered;
  };
  EXPECT_FALSE(lists_services(""));
  EXPECT_FALSE(lists_services("wrong"));
  EXPECT_TRUE(lists_services("infer-key"));
}

TEST_F(AdminGrpcTest, AnAnswerCarriesTheKeysNameAndCountsAgainstItsRate) {
  start_with_keys();
  const auto ask_with = [&](const std::string& key) {
    grpc::ClientContext context;
    add_key(context, key);
    wire::AnswerResponse response;
    return stub->Answer(&context, question(), &response);
  };
  EXPECT_EQ(ask_with("admin-key").error_code(), grpc::PERMISSION_DENIED);
  EXPECT_TRUE(ask_with("infer-key").ok());
  EXPECT_EQ(service.requests().at(0).tenant, "alice");
  const grpc::Status limited = ask_with("infer-key");
  EXPECT_EQ(limited.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(service.wait_for_rejected(2).at(1).reason, "rate_limit");
  sparsefusion::rpc::RetryInfo retry;
  retry.ParseFromString(details(limited).at("RetryInfo"));
  EXPECT_EQ(retry.retry_delay().seconds(), 60);
}

}  // namespace
}  // namespace sf::server
