// sparsefusion.v1.ModelAdmin: translation only. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include <functional>
#include <string>

#include "server/grpc/grpc_server.h"
#include "server/guard/api_keys.h"
#include "sparsefusion/v1/admin.pb.h"

namespace sf::server {

// Raw bytes in and out, as message_buffer.h says.
class AdminService final : public grpc::Service {
 public:
  static constexpr const char* kName = "sparsefusion.v1.ModelAdmin";

  // The calls that change something are there only with keys. REQUIRES: both outlive the server that this is registered
  // with.
  AdminService(const GrpcOptions& options, server::Service& service);

 private:
  using ByteBuffer = grpc::ByteBuffer;
  template <typename Request>
  using Handler = ByteBuffer (*)(ModelAdmin& admin, const Request& request);

  // Effect: adds the method `name`, which needs `access`. `name` lives as long as the program.
  template <typename Request>
  void add(const char* name, Access access, Handler<Request> handler);
  grpc::Status call(grpc::ServerContext& context, Access access, ByteBuffer& response,
                    const std::function<ByteBuffer(ModelAdmin&)>& work);

  const GrpcOptions& options_;
  server::Service& service_;  // not grpc::Service
};

}  // namespace sf::server
