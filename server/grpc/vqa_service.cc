#include "server/grpc/vqa_service.h"

#include <grpcpp/support/method_handler.h>

#include "server/grpc/answer_messages.h"
#include "server/grpc/call_guard.h"
#include "server/grpc/explain_messages.h"
#include "server/grpc/grpc_call.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/guard/reject_reason.h"
#include "server/guard/request_id.h"
#include "server/guard/thrown_error.h"

namespace sf::server {
namespace {

using grpc::ByteBuffer;
using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;

// RpcServiceMethod keeps the pointer, so the names live as long as the program.
constexpr const char* kAnswerMethod = "/sparsefusion.v1.VisualQuestionAnswering/Answer";
constexpr const char* kExplainMethod = "/sparsefusion.v1.VisualQuestionAnswering/Explain";
constexpr const char* kStreamAnswerMethod = "/sparsefusion.v1.VisualQuestionAnswering/StreamAnswer";

}  // namespace

VqaService::VqaService(const GrpcOptions& options, server::Service& service) : options_(options), service_(service) {
  using Unary = grpc::internal::RpcMethodHandler<VqaService, ByteBuffer, ByteBuffer>;
  using Streaming = grpc::internal::ServerStreamingHandler<VqaService, ByteBuffer, ByteBuffer>;
  const auto unary = [](VqaService* self, grpc::ServerContext* context, const ByteBuffer* request,
                        ByteBuffer* response) { return self->answer(*context, *request, *response); };
  const auto streaming = [](VqaService* self, grpc::ServerContext* context, const ByteBuffer* request, Writer* writer) {
    return self->stream_answer(*context, *request, *writer);
  };
  AddMethod(new RpcServiceMethod(kAnswerMethod, RpcMethod::NORMAL_RPC, new Unary(unary, this)));
  const auto explaining = [](VqaService* self, grpc::ServerContext* context, const ByteBuffer* request,
                             ByteBuffer* response) { return self->explain(*context, *request, *response); };
  AddMethod(new RpcServiceMethod(kExplainMethod, RpcMethod::NORMAL_RPC, new Unary(explaining, this)));
  AddMethod(new RpcServiceMethod(kStreamAnswerMethod, RpcMethod::SERVER_STREAMING, new Streaming(streaming, this)));
}

VqaService::Call VqaService::begin(grpc::ServerContext& context) const {
  Call call{
      context,          choose_request_id(offered_request_id(context)), std::chrono::steady_clock::now(), "", nullptr,
      trace_of(context)};
  context.AddInitialMetadata("x-request-id", call.id);
  return call;
}

void VqaService::submit(Call& call, const ByteBuffer& request) {
  AnswerRequest asked;
  try {
    const std::string tenant = admit_call(options_.keys, call.context, Access::kInfer);
    sparsefusion::v1::AnswerRequest message;
    const size_t num_bytes = parse_message(request, message);
    asked = make_answer_request(answer_fields_from(message), call.id, "grpc", &service_);
    asked.tenant = tenant;
    asked.body_bytes = num_bytes;
    asked.timeout_ms = shorter_timeout(asked.timeout_ms, call.context);
  } catch (const Error& error) {
    if (const auto* limited = dynamic_cast<const RateLimited*>(&error)) call.retry_after_s = limited->retry_after_s();
    service_.record_rejected("grpc", grpc_code_name(static_cast<grpc::StatusCode>(error.code())), reject_reason(error),
                             {call.id, call.trace});
    throw;
  }
  call.model = asked.model;
  try {
    call.stream = service_.submit(std::move(asked));
  } catch (...) {
    fail(call, thrown_error());
    throw;
  }
  if (call.model.empty()) {
    const std::vector<ModelDescription> models = service_.models();
    if (!models.empty()) call.model = models.front().id;
  }
  call.context.AddInitialMetadata("x-model-version", std::to_string(call.stream->model_version()));
}

grpc::Status VqaService::answer(grpc::ServerContext& context, const ByteBuffer& request, ByteBuffer& response) {
  Call call = begin(context);
  try {
    submit(call, request);
  } catch (...) {
    return grpc_status(thrown_error(), call.id, retry_after_s(call));
  }
  const WholeAnswer answer =
      wait_for_answer(*call.stream, options_.poll_interval_ms, [&] { return is_unwanted(call); });
  if (answer.error) return fail(call, is_unwanted(call) ? unwanted_error(call.context, stopping_) : *answer.error);
  response = serialize_message(
      answer_message(call.id, call.model, call.stream->model_version(), answer.text, *answer.summary));
  return finish(call, *answer.summary);
}

grpc::Status VqaService::stream_answer(grpc::ServerContext& context, const ByteBuffer& request, Writer& writer) {
  Call call = begin(context);
  try {
    submit(call, request);
  } catch (...) {
    return grpc_status(thrown_error(), call.id, retry_after_s(call));
  }
  const WholeAnswer answer = forward(call, writer);
  if (answer.error) return fail(call, is_unwanted(call) ? unwanted_error(call.context, stopping_) : *answer.error);
  sparsefusion::v1::StreamAnswerResponse last;
  *last.mutable_answer() =
      answer_message(call.id, call.model, call.stream->model_version(), answer.text, *answer.summary);
  if (!writer.Write(serialize_message(last))) return fail(call, unwanted_error(call.context, stopping_));
  return finish(call, *answer.summary);
}

grpc::Status VqaService::explain(grpc::ServerContext& context, const ByteBuffer& request, ByteBuffer& response) {
  Call call = begin(context);
  ExplainRequest asked;
  try {
    const std::string tenant = admit_call(options_.keys, call.context, Access::kInfer);
    sparsefusion::v1::ExplainRequest message;
    const size_t num_bytes = parse_message(request, message);
    asked = make_explain_request(explain_fields_from(message), call.id, "grpc");
    asked.question.tenant = tenant;
    asked.question.body_bytes = num_bytes;
    asked.question.timeout_ms = shorter_timeout(asked.question.timeout_ms, call.context);
  } catch (...) {
    const Error error = thrown_error();
    const grpc::Status status = grpc_status(error, call.id, thrown_retry_after_s(service_.retry_after_seconds()));
    service_.record_rejected("grpc", grpc_code_name(status.error_code()), reject_reason(error), {call.id, call.trace});
    return status;
  }
  try {
    const ExplainResult result = service_.explain(std::move(asked), [&] { return is_unwanted(call); });
    call.context.AddInitialMetadata("x-model-version", std::to_string(result.model_version));
    response = serialize_message(explain_message(call.id, result));
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
    service_.record_finished("grpc", "OK", {call.id, call.trace}, result.model_version, nullptr, elapsed.count());
    return grpc::Status::OK;
  } catch (...) {
    return fail(call, is_unwanted(call) ? unwanted_error(call.context, stopping_) : thrown_error());
  }
}

WholeAnswer VqaService::forward(Call& call, Writer& writer) {
  WholeAnswer answer;
  while (true) {
    std::optional<Event> event = call.stream->next_for(options_.poll_interval_ms);
    bool gone = is_unwanted(call);
    if (event) {
      answer.text += event->text;
      if (!event->text.empty() && !gone) {
        sparsefusion::v1::StreamAnswerResponse delta;
        delta.set_delta(event->text);
        gone = !writer.Write(serialize_message(delta));
      }
      if (event->finished) {
        answer.summary = std::move(event->summary);
        answer.error = std::move(event->error);
        return answer;
      }
    }
    if (gone) {
      call.stream->cancel();
      answer.error = Error(Code::kCancelled, "the client cancelled the call");
      return answer;
    }
  }
}

int VqaService::retry_after_s(const Call& call) const {
  return call.retry_after_s > 0 ? call.retry_after_s : service_.retry_after_seconds();
}

grpc::Status VqaService::finish(const Call& call, const Summary& summary) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service_.record_finished("grpc", "OK", {call.id, call.trace}, call.stream->model_version(), &summary,
                           elapsed.count());
  return grpc::Status::OK;
}

grpc::Status VqaService::fail(const Call& call, const Error& error) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  const grpc::Status status = grpc_status(error, call.id, service_.retry_after_seconds());
  service_.record_finished("grpc", grpc_code_name(status.error_code()), {call.id, call.trace},
                           call.stream ? call.stream->model_version() : 0, nullptr, elapsed.count());
  return status;
}

}  // namespace sf::server
