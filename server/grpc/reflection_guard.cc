#include "server/grpc/reflection_guard.h"

#include <string_view>

#include "engine/base/error.h"
#include "server/grpc/call_guard.h"

namespace sf::server {
namespace {

namespace exp = grpc::experimental;

class Guard final : public exp::Interceptor {
 public:
  Guard(KeyRing& keys, exp::ServerRpcInfo& call) : keys_(keys), call_(call) {}

  void Intercept(exp::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(exp::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      try {
        admit_call(&keys_, *call_.server_context(), Access::kAnyKey);
      } catch (const Error&) {
        call_.server_context()->TryCancel();  // an interceptor of a server can give no other status
      }
    }
    methods->Proceed();
  }

 private:
  KeyRing& keys_;
  exp::ServerRpcInfo& call_;
};

class Factory final : public exp::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(KeyRing& keys) : keys_(keys) {}

  exp::Interceptor* CreateServerInterceptor(exp::ServerRpcInfo* call) override {
    const bool is_reflection = std::string_view(call->method()).starts_with("/grpc.reflection.");
    return is_reflection ? new Guard(keys_, *call) : nullptr;  // gRPC frees it
  }

 private:
  KeyRing& keys_;
};

}  // namespace

std::vector<std::unique_ptr<exp::ServerInterceptorFactoryInterface>> reflection_guard(KeyRing& keys) {
  std::vector<std::unique_ptr<exp::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>(keys));
  return factories;
}

}  // namespace sf::server
