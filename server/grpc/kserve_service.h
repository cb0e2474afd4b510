// inference.GRPCInferenceService (the Open Inference Protocol v2): translation only, the service decides.
//
//   KserveService kserve(grpc_options, service);
//   kserve.register_methods(router);
//
// Thread-safe once its methods are registered.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <string>

#include "server/grpc/call_router.h"
#include "server/grpc/infer_call.h"
#include "server/grpc/infer_messages.h"
#include "server/kserve/model_repository.h"

namespace sf::server {

class KserveService {
 public:
  static constexpr const char* kName = "inference.GRPCInferenceService";

  // REQUIRES: both outlive this.
  KserveService(const GrpcOptions& options, server::Service& service)
      : options_(options), service_(service), infer_deps_{options, service} {}
  // REQUIRES: this outlives the calls.
  void register_methods(CallRouter& router);

 private:
  template <typename Request, typename Response>
  using Query = Response (KserveService::*)(const Request&) const;

  // Effect: adds a method that answers at once from what is known. It throws Error to refuse.
  template <typename Request, typename Response>
  void add_query(CallRouter& router, const char* name, Query<Request, Response> query);
  // Effect: adds one about the server's health: open to all, and answered on gRPC's own threads.
  template <typename Request, typename Response>
  void add_health(CallRouter& router, const char* name, Query<Request, Response> query);
  void add_infer(CallRouter& router);
  // Effect: adds a command of the model repository: PERMISSION_DENIED where no keys are asked for.
  template <typename Request, typename Response>
  void add_change(CallRouter& router, const char* name, RepositoryChange change);
  grpc::Status change(GrpcCall& call, RepositoryChange change, const std::function<std::string()>& read_model);

  inference::ServerLiveResponse server_live(const inference::ServerLiveRequest&) const;
  inference::ServerReadyResponse server_ready(const inference::ServerReadyRequest&) const;
  inference::ModelReadyResponse model_ready(const inference::ModelReadyRequest& request) const;
  inference::ServerMetadataResponse server_metadata(const inference::ServerMetadataRequest&) const;
  inference::ModelMetadataResponse model_metadata(const inference::ModelMetadataRequest& request) const;
  inference::ModelConfigResponse model_config(const inference::ModelConfigRequest& request) const;
  inference::ModelStatisticsResponse statistics(const inference::ModelStatisticsRequest& request) const;
  inference::RepositoryIndexResponse index(const inference::RepositoryIndexRequest& request) const;

  grpc::Status infer(GrpcCall& call, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  // Effect: logs a call that only read.
  void log(const GrpcCall& call);
  // Effect of both: counts and logs it; before the service saw it, and after.
  // REQUIRES of refuse: called while the refusal is being handled.
  grpc::Status refuse(GrpcCall& call);
  grpc::Status fail(GrpcCall& call, const InferCall& infer, const Error& error);

  const GrpcOptions& options_;
  server::Service& service_;
  const InferDeps infer_deps_;
  std::atomic<int> num_streams_{0};
};

}  // namespace sf::server
