// inference.GRPCInferenceService (the Open Inference Protocol v2): translation only, the service decides. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <functional>
#include <string>

#include "server/grpc/grpc_server.h"
#include "server/grpc/infer_messages.h"
#include "server/grpc/infer_stream.h"
#include "server/kserve/model_repository.h"

namespace sf::server {

// The handlers take raw bytes (message_buffer.h says why), so this is not the generated base class.
class KserveService final : public grpc::Service {
 public:
  static constexpr const char* kName = "inference.GRPCInferenceService";

  // REQUIRES: both outlive the server that this is registered with.
  KserveService(const GrpcOptions& options, server::Service& service);
  // Effect: calls in flight end soon with UNAVAILABLE.
  void stop() { stopping_ = true; }

 private:
  // Effect: adds a method that answers at once from what is known. It throws Error to refuse.
  template <typename Request, typename Response>
  void add_query(const char* method, Response (KserveService::*query)(const Request&) const,
                 Access access = Access::kAnyKey);
  void add_infer();
  // Effect: adds a command of the model repository: PERMISSION_DENIED where no keys are asked for.
  template <typename Request, typename Response>
  void add_change(const char* method, RepositoryChange change);
  grpc::Status change(grpc::ServerContext& context, RepositoryChange change,
                      const std::function<std::string()>& read_model);

  inference::ServerLiveResponse server_live(const inference::ServerLiveRequest&) const;
  inference::ServerReadyResponse server_ready(const inference::ServerReadyRequest&) const;
  inference::ModelReadyResponse model_ready(const inference::ModelReadyRequest& request) const;
  inference::ServerMetadataResponse server_metadata(const inference::ServerMetadataRequest&) const;
  inference::ModelMetadataResponse model_metadata(const inference::ModelMetadataRequest& request) const;
  inference::ModelConfigResponse model_config(const inference::ModelConfigRequest& request) const;
  inference::ModelStatisticsResponse statistics(const inference::ModelStatisticsRequest& request) const;
  inference::RepositoryIndexResponse index(const inference::RepositoryIndexRequest& request) const;

  grpc::Status infer(grpc::ServerContext& context, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  grpc::Status stream_infer(grpc::ServerContext& context, InferStream::Stream& stream);
  // Effect of both: counts and logs it; before the service saw it, and after.
  // REQUIRES: called while the refusal is being handled.
  grpc::Status refuse(const RequestIds& ids);
  grpc::Status refuse(const Error& error, const RequestIds& ids, int retry_after_s);
  grpc::Status fail(const InferCall& call, const Error& error);

  const GrpcOptions& options_;
  server::Service& service_;  // not grpc::Service, whose name the base class brings in
  std::atomic<bool> stopping_{false};
  std::atomic<int> num_streams_{0};
};

}  // namespace sf::server
