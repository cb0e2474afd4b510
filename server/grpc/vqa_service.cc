#include "server/grpc/vqa_service.h"

#include <chrono>

#include "server/grpc/answer_messages.h"
#include "server/grpc/explain_messages.h"
#include "server/grpc/grpc_errors.h"
#include "server/grpc/message_buffer.h"
#include "server/wire/reject_reason.h"
#include "server/wire/thrown_error.h"

namespace sf::server {
namespace {

using grpc::ByteBuffer;

constexpr const char* kApi = "grpc";

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

void VqaService::register_methods(CallRouter& router) {
  const auto add = [&](const char* name, auto method) {
    router.add(concat("/", kName, "/", name),
               unary(kApi, Access::kInfer, [this, method](GrpcCall& call, const ByteBuffer& in, ByteBuffer& out) {
                 return (this->*method)(call, in, out);
               }));
  };
  add("Answer", &VqaService::answer);
  add("StreamAnswer", &VqaService::stream_answer);
  add("Explain", &VqaService::explain);
}

VqaService::Asked VqaService::submit(GrpcCall& call, const ByteBuffer& request, grpc::Status& status) {
  Asked asked;
  AnswerRequest question;
  try {
    sparsefusion::v1::AnswerRequest message;
    const size_t num_bytes = parse_message(request, message, options_.limits.max_body_bytes);
    question = make_answer_request(answer_fields_from(message), call.id(), kApi, &service_);
    question.tenant = call.tenant();
    question.is_unwanted = [&call] { return call.is_unwanted(); };
    question.body_bytes = num_bytes;
    question.timeout_ms = call.shorter_timeout(question.timeout_ms);
  } catch (...) {
    status = refuse(call);
    return asked;
  }
  asked.model = question.model;
  try {
    asked.stream = service_.submit(std::move(question));
  } catch (...) {
    status = fail(call, asked, thrown_error());
    return asked;
  }
  if (asked.model.empty()) {
    const std::vector<ModelDescription> models = service_.models();
    if (!models.empty()) asked.model = models.front().id;
  }
  call.add_initial_metadata("x-model-version", std::to_string(asked.stream->model_version()));
  return asked;
}

grpc::Status VqaService::answer(GrpcCall& call, const ByteBuffer& request, ByteBuffer& response) {
  grpc::Status refusal;
  const Asked asked = submit(call, request, refusal);
  if (!asked.stream) return refusal;
  const WholeAnswer answer =
      wait_for_answer(*asked.stream, options_.poll_interval_ms, [&] { return call.is_unwanted(); });
  if (answer.error) return fail(call, asked, *answer.error);
  const int64_t version = asked.stream->model_version();
  response = serialize_message(answer_message(call.id(), asked.model, version, answer.text, *answer.summary));
  return finish(call, version, &*answer.summary);
}

grpc::Status VqaService::stream_answer(GrpcCall& call, const ByteBuffer& request, ByteBuffer& response) {
  grpc::Status refusal;
  const Asked asked = submit(call, request, refusal);
  if (!asked.stream) return refusal;
  const WholeAnswer answer = forward(call, asked);
  if (answer.error || call.is_unwanted()) {
    return fail(call, asked, answer.error ? *answer.error : call.unwanted_error());
  }
  const int64_t version = asked.stream->model_version();
  sparsefusion::v1::StreamAnswerResponse last;
  *last.mutable_answer() = answer_message(call.id(), asked.model, version, answer.text, *answer.summary);
  response = serialize_message(last);
  return finish(call, version, &*answer.summary);
}

grpc::Status VqaService::explain(GrpcCall& call, const ByteBuffer& request, ByteBuffer& response) {
  ExplainRequest asked;
  try {
    sparsefusion::v1::ExplainRequest message;
    const size_t num_bytes = parse_message(request, message, options_.limits.max_body_bytes);
    asked = make_explain_request(explain_fields_from(message), call.id(), kApi);
    asked.question.tenant = call.tenant();
    asked.question.body_bytes = num_bytes;
    asked.question.timeout_ms = call.shorter_timeout(asked.question.timeout_ms);
  } catch (...) {
    return refuse(call);
  }
  try {
    const ExplainResult result = service_.explain(std::move(asked), [&] { return call.is_unwanted(); });
    call.add_initial_metadata("x-model-version", std::to_string(result.model_version));
    response = serialize_message(explain_message(call.id(), result));
    return finish(call, result.model_version, nullptr);
  } catch (...) {
    return fail(call, {}, thrown_error());
  }
}

WholeAnswer VqaService::forward(GrpcCall& call, const Asked& asked) {
  WholeAnswer answer;
  while (true) {
    std::optional<Event> event = asked.stream->next_for(options_.poll_interval_ms);
    if (event) {
      answer.text += event->text;
      if (!event->text.empty() && !call.is_unwanted()) {
        sparsefusion::v1::StreamAnswerResponse delta;
        delta.set_delta(event->text);
        call.write(serialize_message(delta));
      }
      if (event->finished) {
        answer.summary = std::move(event->summary);
        answer.error = std::move(event->error);
        return answer;
      }
    }
    if (call.is_unwanted()) {
      asked.stream->cancel();
      answer.error = call.unwanted_error();
      return answer;
    }
  }
}

grpc::Status VqaService::refuse(GrpcCall& call) {
  const Error error = thrown_error();
  const grpc::Status status = grpc_status(error, call.id(), thrown_retry_after_s(service_.retry_after_seconds()));
  service_.record_rejected(kApi, grpc_code_name(status.error_code()), reject_reason(error), call.ids(error.field()));
  return status;
}

grpc::Status VqaService::finish(GrpcCall& call, int64_t model_version, const Summary* summary) {
  service_.record_finished(kApi, "OK", call.ids(), model_version, summary, seconds_since(call.begin()));
  return grpc::Status::OK;
}

grpc::Status VqaService::fail(GrpcCall& call, const Asked& asked, const Error& error) {
  const Error reason = call.is_unwanted() ? call.unwanted_error() : error;
  const grpc::Status status = grpc_status(reason, call.id(), service_.retry_after_seconds());
  service_.record_finished(kApi, grpc_code_name(status.error_code()), call.ids(reason.field()),
                           asked.stream ? asked.stream->model_version() : 0, nullptr, seconds_since(call.begin()));
  return status;
}

}  // namespace sf::server
