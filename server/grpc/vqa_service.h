// sparsefusion.v1.VisualQuestionAnswering: translation only, the service decides. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "server/grpc/grpc_server.h"
#include "server/service/wait_for_answer.h"

namespace sf::server {

// The handlers take raw bytes (message_buffer.h says why), so this is not the generated base class.
class VqaService final : public grpc::Service {
 public:
  static constexpr const char* kName = "sparsefusion.v1.VisualQuestionAnswering";

  // REQUIRES: both outlive the server that this is registered with.
  VqaService(const GrpcOptions& options, server::Service& service);
  // Effect: calls in flight end soon with UNAVAILABLE.
  void stop() { stopping_ = true; }

 private:
  // One call from its first byte to its status.
  struct Call {
    grpc::ServerContext& context;
    std::string id;
    std::chrono::steady_clock::time_point start;
    std::string model;
    std::shared_ptr<ResponseStream> stream;
    TraceContext trace = {};
    int retry_after_s = 0;  // where a rate limit refused it; 0: what the service says
  };
  using Writer = grpc::ServerWriter<grpc::ByteBuffer>;

  Call begin(grpc::ServerContext& context) const;
  grpc::Status answer(grpc::ServerContext& context, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  grpc::Status stream_answer(grpc::ServerContext& context, const grpc::ByteBuffer& request, Writer& writer);
  grpc::Status explain(grpc::ServerContext& context, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  // Effect: parses and submits; fills call.stream and call.model. Errors: those of both.
  void submit(Call& call, const grpc::ByteBuffer& request);
  // The answer up to its end, each delta written. Errors are in the result.
  WholeAnswer forward(Call& call, Writer& writer);
  bool is_unwanted(const Call& call) const { return call.context.IsCancelled() || stopping_; }
  int retry_after_s(const Call& call) const;
  grpc::Status finish(const Call& call, const Summary& summary);
  grpc::Status fail(const Call& call, const Error& error);

  const GrpcOptions& options_;
  server::Service& service_;  // not grpc::Service, whose name the base class brings in
  std::atomic<bool> stopping_{false};
};

}  // namespace sf::server
