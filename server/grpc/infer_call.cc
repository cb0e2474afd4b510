#include "server/grpc/infer_call.h"

#include "server/grpc/grpc_errors.h"
#include "server/grpc/infer_messages.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/reject_reason.h"
#include "server/wire/request_id.h"

namespace sf::server {

void read_infer_call(InferCall& call, const grpc::ByteBuffer& bytes, const GrpcCall& context, const InferDeps& deps) {
  call.trace = context.trace();
  call.origin = context.origin();
  inference::ModelInferRequest message;
  const size_t num_bytes = parse_message(bytes, message, deps.options.limits.max_body_bytes);
  // An id that is refused for its length is not echoed: cut, it might end within a character.
  if (message.id().size() <= kMaxInferIdBytes) call.head.id = message.id();
  if (call.id.empty()) call.id = choose_request_id(message.id());
  InferRequest infer = infer_request_from(message, deps.options.limits.max_batch);
  infer.body_bytes = num_bytes;
  const ServedModel model = find_served_model(deps.service, infer.model_name, infer.model_version);
  call.head.model_name = model.name;
  call.decoupled = model.decoupled;
  call.empty_final_response = infer.parameters.empty_final_response;
  call.asked_version = infer.model_version;
  call.head.shape = infer.shape;
  call.batch = InferBatch(std::move(infer), model, model.decoupled, call.id, kInferGrpcApi);
  AnswerRequest& common = call.batch.common();
  common.tenant = call.tenant;
  common.is_unwanted = [&context] { return context.is_unwanted(); };
  common.timeout_ms = context.shorter_timeout(common.timeout_ms);
}

void submit_infer_call(InferCall& call, server::Service& service) {
  call.answers = submit_infer(service, std::move(call.batch), call.asked_version);
  call.head.model_version = call.answers.front()->model_version();
}

void refuse_infer_call(const Error& error, RequestIds ids, server::Service& service) {
  ids.field = error.field();
  service.record_rejected(kInferGrpcApi, grpc_code_name(error), reject_reason(error), ids);
}

void finish_infer_call(const InferCall& call, const Summary& summary, const InferDeps& deps) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  deps.service.record_finished(kInferGrpcApi, "OK", {call.id, call.trace, call.origin}, call.head.model_version,
                               &summary, elapsed.count());
  deps.options.infer_statistics->record_success(call.head.model_name, summary, elapsed.count(), call.answers.size());
}

void fail_infer_call(const InferCall& call, const Error& error, const InferDeps& deps) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  deps.service.record_finished(kInferGrpcApi, grpc_code_name(error), {call.id, call.trace, call.origin, error.field()},
                               call.head.model_version, nullptr, elapsed.count());
  deps.options.infer_statistics->record_failure(call.head.model_name, elapsed.count());
}

const char* grpc_code_name(const Error& error) { return grpc_code_name(status_code(error)); }

}  // namespace sf::server
