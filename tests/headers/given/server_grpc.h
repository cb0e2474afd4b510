#pragma once

#include <grpcpp/grpcpp.h>
#include "server/auth/server_certificate.h"
#include "server/grpc/call_router.h"
#include "server/grpc/infer_call.h"
#include "server/grpc/open_calls.h"

namespace sf::server::examples_server_grpc {

extern Service& service;
extern const GrpcOptions grpc_options;
extern const CallDeps deps;
extern const InferDeps infer_deps;
extern grpc::GenericCallbackServerContext& context;
extern grpc::ServerBuilder builder;
extern CallRouter router;
extern Method method;
extern const std::shared_ptr<GrpcCall> call;
extern const GrpcCall& grpc_call;
struct MyHandler : CallHandler {
  explicit MyHandler(GrpcCall& call);
  void on_message(grpc::ByteBuffer message) override;
  void on_half_close() override;
};
extern const RequestLimits limits;
extern const Summary summary;
extern grpc::ByteBuffer buffer;
extern const std::shared_ptr<const ServerCertificate> certificate;
extern const UnaryWork work;
extern const std::string address;
extern int port;
extern const double idle_s;
extern std::atomic<int> num_streams;
void refuse();

}  // namespace sf::server::examples_server_grpc
