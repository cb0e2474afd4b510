// sparsefusion.v1.ModelAdmin: translation only.
//
//   AdminService admin(grpc_options, service);
//   admin.register_methods(router);
//
// Thread-safe once its methods are registered.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>

#include "server/auth/api_keys.h"
#include "server/grpc/call_router.h"
#include "sparsefusion/v1/admin.pb.h"

namespace sf::server {

class AdminService {
 public:
  static constexpr const char* kName = "sparsefusion.v1.ModelAdmin";

  // REQUIRES: both outlive this.
  AdminService(const GrpcOptions& options, server::Service& service) : options_(options), service_(service) {}
  // The calls that change something are there only with keys. REQUIRES: this outlives the calls.
  void register_methods(CallRouter& router);

 private:
  using ByteBuffer = grpc::ByteBuffer;
  template <typename Request>
  using Handler = ByteBuffer (*)(ModelAdmin& admin, const Request& request);

  template <typename Request>
  void add(CallRouter& router, const char* name, Access access, Handler<Request> handler);
  grpc::Status run(GrpcCall& call, ByteBuffer& response, const std::function<ByteBuffer(ModelAdmin&)>& work);

  const GrpcOptions& options_;
  server::Service& service_;
};

}  // namespace sf::server
