#include "server/grpc/call_router.h"

#include <utility>

#include "server/grpc/grpc_errors.h"
#include "server/wire/reject_reason.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

// Refusals that wait to be logged; beyond these a flood of them is refused without a word.
constexpr size_t kMaxWaitingRefusals = 1024;

class UnaryHandler final : public CallHandler {
 public:
  UnaryHandler(GrpcCall& call, const UnaryWork& work) : call_(call), work_(work) {}

  void on_message(grpc::ByteBuffer message) override {
    call_.post([this, message = std::move(message)] {
      grpc::ByteBuffer response;
      const grpc::Status status = work_(call_, message, response);
      if (status.ok()) {
        call_.write_last(std::move(response));
      } else {
        call_.finish(status);
      }
    });
  }
  void on_half_close() override {
    call_.finish(grpc::Status(grpc::INVALID_ARGUMENT, "the call ended before its message was whole"));
  }

 private:
  GrpcCall& call_;
  const UnaryWork& work_;  // the method's, which lives as long as the server
};

}  // namespace

Method unary(const char* api, Access access, UnaryWork work) {
  Method method;
  method.api = api;
  method.access = access;
  method.serve = [work = std::make_shared<const UnaryWork>(std::move(work))](GrpcCall& call) {
    return std::make_unique<UnaryHandler>(call, *work);
  };
  return method;
}

grpc::ServerGenericBidiReactor* CallRouter::CreateReactor(grpc::GenericCallbackServerContext* context) {
  const auto call = std::make_shared<GrpcCall>(deps_, *context);
  const auto found = methods_.find(context->method());
  if (found == methods_.end()) {
    call->set_unknown();
    record_rejected(*call, "grpc", grpc::UNIMPLEMENTED, Error(Code::kNotFound, "no such method"));
    call->refuse(grpc::Status(grpc::UNIMPLEMENTED, ""));  // Triton's clients know a missing extension by this
  } else {
    start(*call, found->second);
  }
  return call.get();
}

void CallRouter::start(GrpcCall& call, const Method& method) {
  try {
    if (!deps_.calls.add(call, call.peer(), method.kind)) {
      throw Error(Code::kResourceExhausted, "too many calls are open", "", Reason::kQueueFull);
    }
    call.admit_first(method.access);
    call.start(method.serve(call), method.idle_s > 0 ? method.idle_s : deps_.options.read_timeout_s);
  } catch (...) {
    const Error error = thrown_error();
    refuse(call, method, error, thrown_retry_after_s(deps_.service.retry_after_seconds()));
  }
}

void CallRouter::refuse(GrpcCall& call, const Method& method, const Error& error, int retry_after_s) {
  const grpc::Status status = grpc_status(error, call.id(), retry_after_s);
  record_rejected(call, method.api, status.error_code(), error);
  call.refuse(status);
}

void CallRouter::record_rejected(const GrpcCall& call, const char* api, grpc::StatusCode code, const Error& error) {
  deps_.pool.try_post(
      [&service = deps_.service, api, code, reason = reject_reason(error), ids = call.ids(error.field())] {
        service.record_rejected(api, grpc_code_name(code), reason, ids);
      },
      kMaxWaitingRefusals);
}

}  // namespace sf::server
