#include "server/grpc/infer_call.h"

#include "server/grpc/call_guard.h"
#include "server/grpc/grpc_call.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/infer_messages.h"
#include "server/grpc/message_buffer.h"
#include "server/guard/reject_reason.h"
#include "server/guard/request_id.h"

namespace sf::server {

void read_infer_call(InferCall& call, const grpc::ByteBuffer& bytes, const grpc::ServerContext& context,
                     const server::Service& service, KeyRing* keys) {
  call.trace = trace_of(context);
  const std::string tenant = admit_call(keys, context, Access::kInfer);
  inference::ModelInferRequest message;
  const size_t num_bytes = parse_message(bytes, message);
  // An id that is refused for its length is not echoed: cut, it might end within a character.
  if (message.id().size() <= kMaxInferIdBytes) call.head.id = message.id();
  if (call.id.empty()) call.id = choose_request_id(message.id());
  InferRequest infer = infer_request_from(message);
  infer.body_bytes = num_bytes;
  const ServedModel model = find_served_model(service, infer.model_name, infer.model_version);
  call.head.model_name = model.name;
  call.decoupled = model.decoupled;
  call.empty_final_response = infer.parameters.empty_final_response;
  call.asked_version = infer.model_version;
  call.answer = make_infer_answer(std::move(infer), model, call.id, kInferGrpcApi);
  call.answer.tenant = tenant;
  call.answer.timeout_ms = shorter_timeout(call.answer.timeout_ms, context);
}

void submit_infer_call(InferCall& call, server::Service& service) {
  call.stream = submit_infer(service, std::move(call.answer), call.asked_version);
  call.head.model_version = call.stream->model_version();
}

void refuse_infer_call(const Error& error, const RequestIds& ids, server::Service& service) {
  service.record_rejected(kInferGrpcApi, grpc_code_name(error), reject_reason(error), ids);
}

void record_infer_call(const InferCall& call, const std::string& code, const Summary* summary, server::Service& service,
                       InferStatistics& statistics) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service.record_finished(kInferGrpcApi, code, {call.id, call.trace}, call.head.model_version, summary,
                          elapsed.count());
  if (summary != nullptr) {
    statistics.record_success(call.head.model_name, *summary, elapsed.count());
  } else {
    statistics.record_failure(call.head.model_name, elapsed.count());
  }
}

const char* grpc_code_name(const Error& error) { return grpc_code_name(static_cast<grpc::StatusCode>(error.code())); }

}  // namespace sf::server
