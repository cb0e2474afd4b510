// Every method of the port by its path: who may call it, and what serves it.
//
//   CallRouter router(deps);
//   router.add("/inference.GRPCInferenceService/ModelMetadata", unary("kserve_grpc", Access::kAnyKey, work));
//   builder.RegisterCallbackGenericService(&router);
//
// One generic service instead of the generated ones: those hand a call of one message over only when it has come whole.
// Here the key, the number of open calls and the time that a message may take are looked at before the first byte of it
// is read, and a message is taken as bytes (message_buffer.h).
//
// Thread-safe once every method was added.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "server/auth/api_keys.h"
#include "server/grpc/grpc_call.h"

namespace sf::server {

struct Method {
  const char* api = "grpc";  // what refusals are counted under
  Access access = Access::kAnyKey;
  // Runs on one of gRPC's threads and must return at once. Errors: what refuses the call.
  std::function<std::unique_ptr<CallHandler>(GrpcCall& call)> serve;
  double idle_s = 0;  // how long a call may wait for a message; 0 = for the time of a request
  OpenCalls::Kind kind = OpenCalls::Kind::kOther;
};

// A method that reads one message and ends with one, or with a status; before it the work may write others.
// `work` runs on a thread of the pool and may block; it fills `response` if its status is OK.
using UnaryWork =
    std::function<grpc::Status(GrpcCall& call, const grpc::ByteBuffer& request, grpc::ByteBuffer& response)>;
Method unary(const char* api, Access access, UnaryWork work);

class CallRouter final : public grpc::CallbackGenericService {
 public:
  // REQUIRES: `deps` and what it refers to outlive this.
  explicit CallRouter(const CallDeps& deps) : deps_(deps) {}

  // REQUIRES: before the server starts.
  void add(const std::string& path, Method method) { methods_[path] = std::move(method); }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

 private:
  void start(GrpcCall& call, const Method& method);
  void refuse(GrpcCall& call, const Method& method, const Error& error, int retry_after_s);
  // Effect: counts and logs it on a thread of the pool.
  void record_rejected(const GrpcCall& call, const char* api, grpc::StatusCode code, const Error& error);

  const CallDeps& deps_;
  std::unordered_map<std::string, Method> methods_;
};

}  // namespace sf::server
