// sparsefusion.v1.VisualQuestionAnswering: translation only, the service decides.
//
//   VqaService vqa(grpc_options, service);
//   vqa.register_methods(router);
//
// Thread-safe once its methods are registered.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "server/grpc/call_router.h"
#include "server/service/wait_for_answer.h"

namespace sf::server {

class VqaService {
 public:
  static constexpr const char* kName = "sparsefusion.v1.VisualQuestionAnswering";

  // REQUIRES: both outlive this.
  VqaService(const GrpcOptions& options, server::Service& service) : options_(options), service_(service) {}
  // REQUIRES: this outlives the calls.
  void register_methods(CallRouter& router);

 private:
  // A question that the service has taken.
  struct Asked {
    std::string model;
    std::shared_ptr<ResponseStream> stream;
  };

  grpc::Status answer(GrpcCall& call, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  grpc::Status stream_answer(GrpcCall& call, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  grpc::Status explain(GrpcCall& call, const grpc::ByteBuffer& request, grpc::ByteBuffer& response);
  // Effect: parses and submits. If that is refused, `status` is set and the result empty.
  Asked submit(GrpcCall& call, const grpc::ByteBuffer& request, grpc::Status& status);
  // The answer up to its end, each delta written. Errors are in the result.
  WholeAnswer forward(GrpcCall& call, const Asked& asked);
  // Effect of the three: counts and logs it; before the service saw it, and at its end.
  // REQUIRES of refuse: called while the refusal is being handled.
  grpc::Status refuse(GrpcCall& call);
  grpc::Status finish(GrpcCall& call, int64_t model_version, const Summary* summary);
  grpc::Status fail(GrpcCall& call, const Asked& asked, const Error& error);

  const GrpcOptions& options_;
  server::Service& service_;
};

}  // namespace sf::server
