// The model repository of KServe over gRPC.
#include <gmock/gmock.h>

#include "tests/server/grpc/kserve_fixture.h"

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Index = inference::RepositoryIndexRequest;
using Load = inference::RepositoryModelLoadRequest;
using Unload = inference::RepositoryModelUnloadRequest;

class KserveRepositoryGrpcTest : public KserveFixture {
 protected:
  void start_with_keys() { start_kserve({.keys = &keys_}); }
  template <typename Request>
  static Request of(const std::string& model) {
    Request request;
    request.set_model_name(model);
    return request;
  }
  std::vector<std::string> rows(const Index& request) {
    grpc::ClientContext context;
    inference::RepositoryIndexResponse response;
    status_ = kserve->RepositoryIndex(&context, request, &response);
    std::vector<std::string> rows;
    for (const auto& row : response.models()) {
      rows.push_back(concat(row.name(), " ", row.version(), " ", row.state(), " ", row.reason()));
    }
    return rows;
  }
  grpc::StatusCode load(const Load& request, const std::string& key = "admin-key") {
    inference::RepositoryModelLoadResponse response;
    return send(&Stub::RepositoryModelLoad, request, response, key);
  }
  grpc::StatusCode unload(const Unload& request, const std::string& key = "admin-key") {
    inference::RepositoryModelUnloadResponse response;
    return send(&Stub::RepositoryModelUnload, request, response, key);
  }

  KeyRing keys_{parse_api_keys("alice " + hash_api_key("infer-key") + " infer\n" + "ops " + hash_api_key("admin-key") +
                               " admin\n"),
                [] { return 0.0; }};
  grpc::Status status_;

 private:
  template <typename In, typename Out>
  grpc::StatusCode send(grpc::Status (Stub::*method)(grpc::ClientContext*, const In&, Out*), const In& request,
                        Out& response, const std::string& key) {
    grpc::ClientContext context;
    if (!key.empty()) context.AddMetadata("authorization", "Bearer " + key);
    status_ = (kserve.get()->*method)(&context, request, &response);
    return status_.error_code();
  }
};

TEST_F(KserveRepositoryGrpcTest, ListsBothNamesWithStatesAndReasons) {
  start_kserve();
  const std::string canary = "canary: canary: 1 of 36 answers differ from the trainer's";
  EXPECT_THAT(rows({}), ElementsAre("sparsefusion 3 READY ", "sparsefusion 4 UNAVAILABLE " + canary,
                                    "sparsefusion_stream 3 READY ", "sparsefusion_stream 4 UNAVAILABLE " + canary));
  Index ready;
  ready.set_ready(true);
  EXPECT_THAT(rows(ready), ElementsAre("sparsefusion 3 READY ", "sparsefusion_stream 3 READY "));
  Index named;
  named.set_repository_name("other");
  EXPECT_THAT(rows(named), IsEmpty());
  EXPECT_EQ(status_.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(bad_field(status_), "repository_name");
}

TEST_F(KserveRepositoryGrpcTest, WithoutKeysThereAreNoCommands) {
  start_kserve();
  EXPECT_EQ(load(of<Load>("sparsefusion"), ""), grpc::PERMISSION_DENIED);
  EXPECT_THAT(status_.error_message(), HasSubstr("--admin-port"));
  EXPECT_EQ(unload(of<Unload>("sparsefusion"), ""), grpc::PERMISSION_DENIED);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
  EXPECT_EQ(service.wait_for_rejected(1).at(0).reason, "permission_denied");
}

TEST_F(KserveRepositoryGrpcTest, CommandsNeedTheScope) {
  start_with_keys();
  EXPECT_EQ(load(of<Load>("sparsefusion"), ""), grpc::UNAUTHENTICATED);
  EXPECT_EQ(load(of<Load>("sparsefusion"), "infer-key"), grpc::PERMISSION_DENIED);
  EXPECT_EQ(unload(of<Unload>("sparsefusion"), "infer-key"), grpc::PERMISSION_DENIED);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
  EXPECT_EQ(unload(of<Unload>("sparsefusion_stream")), grpc::OK);
  EXPECT_EQ(load(of<Load>("sparsefusion")), grpc::OK);
  EXPECT_THAT(service.model_admin->commands(), ElementsAre("unload", "load newest"));
  const std::vector<FakeRecord> finished = service.wait_for_finished(2);
  EXPECT_EQ(finished.at(1).api, "admin");
  EXPECT_EQ(finished.at(1).code, "OK");
  EXPECT_EQ(finished.at(1).model_version, 3);
}

TEST_F(KserveRepositoryGrpcTest, WhatOverridesOrMisspellsIsRefusedByName) {
  start_with_keys();
  for (const char* name : {"config", "file:1/model.onnx", "unload_dependents", "force", ""}) {
    Load request = of<Load>("sparsefusion");
    (*request.mutable_parameters())[name].set_bytes_param("{}");
    EXPECT_EQ(load(request), grpc::INVALID_ARGUMENT) << name;
    EXPECT_THAT(status_.error_message(), HasSubstr(name));
  }
  Unload dependents = of<Unload>("sparsefusion");
  (*dependents.mutable_parameters())["unload_dependents"].set_int64_param(1);
  EXPECT_EQ(unload(dependents), grpc::INVALID_ARGUMENT);
  Load long_name = of<Load>("sparsefusion");
  (*long_name.mutable_parameters())[std::string(100'000, 'x')].set_bool_param(true);
  EXPECT_EQ(load(long_name), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
  (*dependents.mutable_parameters())["unload_dependents"].set_bool_param(true);
  EXPECT_EQ(unload(dependents), grpc::OK);
}

TEST_F(KserveRepositoryGrpcTest, HostileMessagesChangeNothing) {
  start_with_keys();
  for (const std::string& model : {std::string(), std::string("x"), std::string("sparsefusion\0", 13)}) {
    EXPECT_EQ(unload(of<Unload>(model)), grpc::NOT_FOUND) << model;
  }
  Load elsewhere = of<Load>("sparsefusion");
  elsewhere.set_repository_name("s3://bucket");
  EXPECT_EQ(load(elsewhere), grpc::INVALID_ARGUMENT);
  for (const std::string& bytes :
       {std::string("\x12\xff"), std::string("\x12\x02\xff\xfe", 4), std::string(7, '\xff')}) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer admin-key");
    grpc::ByteBuffer response;
    const grpc::internal::RpcMethod method("/inference.GRPCInferenceService/RepositoryModelUnload",
                                           grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel.get(), method, &context, to_buffer(bytes), &response);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
  }
  EXPECT_THAT(service.model_admin->commands(), IsEmpty());
}

TEST_F(KserveRepositoryGrpcTest, ARefusedLoadSaysWhy) {
  start_with_keys();
  service.model_admin->error = Error(Code::kFailedPrecondition, "version 4: canary: 1 of 36 answers differ", "version");
  EXPECT_EQ(load(of<Load>("sparsefusion")), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status_.error_message(), HasSubstr("version 4: canary"));
  EXPECT_EQ(service.wait_for_finished(1).at(0).code, "FAILED_PRECONDITION");
}

}  // namespace
}  // namespace sf::server
