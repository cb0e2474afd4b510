#include "server/http/native_api.h"

#include "server/guard/reject_reason.h"
#include "server/guard/thrown_error.h"
#include "server/http/answer_body.h"
#include "server/http/answer_json.h"
#include "server/http/http_errors.h"
#include "server/http/sse.h"
#include "server/service/explain_fields.h"
#include "server/service/wait_for_answer.h"

namespace sf::server {
namespace {

// The name that answers: the one asked for, or the only one there is.
std::string served_model(const Service& service, const std::string& asked) {
  if (!asked.empty()) return asked;
  const std::vector<ModelDescription> models = service.models();
  return models.empty() ? "" : models.front().id;
}

Error client_gone() { return Error(Code::kCancelled, "the client closed the connection"); }
Error shutting_down() { return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining); }

}  // namespace

NativeApi::NativeApi(const HttpOptions& options, Service& service, Listener& listener)
    : options_(options), service_(service), listener_(listener) {}

void NativeApi::register_routes() {
  listener_.post("/v1/answer", [this](const auto& request, auto& response, const auto& reader) {
    answer(request, response, reader);
  });
  listener_.post("/v1/explain", [this](const auto& request, auto& response, const auto& reader) {
    explain(request, response, reader);
  });
  listener_.get("/v1/models", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(model_list_json(service_.models()), "application/json");
  });
  listener_.get("/v1/models/:id", [this](const auto& request, auto& response) { model(request, response); });
}

void NativeApi::answer(const httplib::Request& request, httplib::Response& response,
                       const httplib::ContentReader& reader) {
  const Call call{choose_request_id(request.get_header_value("X-Request-Id"))};
  response.set_header("X-Request-Id", call.id);
  AnswerRequest asked;
  bool streamed = false;
  try {
    AnswerFields fields = read_answer_body(request, reader, options_.limits, options_.body_timeout_s);
    streamed = fields.stream;
    asked = make_answer_request(std::move(fields), call.id, "rest");
  } catch (...) {
    const Error error = thrown_error();
    write_error(response, request, error, call.id, service_.retry_after_seconds());
    service_.record_rejected("rest", std::to_string(response.status), reject_reason(error), call.id);
    return;
  }
  submit(request, response, call, std::move(asked), streamed);
}

void NativeApi::explain(const httplib::Request& request, httplib::Response& response,
                        const httplib::ContentReader& reader) {
  const Call call{choose_request_id(request.get_header_value("X-Request-Id"))};
  response.set_header("X-Request-Id", call.id);
  ExplainRequest asked;
  try {
    asked = make_explain_request(read_answer_body(request, reader, options_.limits, options_.body_timeout_s), call.id, "rest");
  } catch (...) {
    const Error error = thrown_error();
    write_error(response, request, error, call.id, service_.retry_after_seconds());
    service_.record_rejected("rest", std::to_string(response.status), reject_reason(error), call.id);
    return;
  }
  try {
    const bool picture = asked.picture;
    const ExplainResult result =
        service_.explain(std::move(asked), [&] { return request.is_connection_closed() || listener_.stopping(); });
    response.set_header("X-Model-Version", std::to_string(result.model_version));
    if (picture) {
      response.set_content(result.png, "image/png");
    } else {
      response.set_content(explain_json({call.id, result.model, result.model_version}, result.explanation), "application/json");
    }
    record(call, 200, result.model_version, nullptr);
  } catch (...) {
    const Error error = thrown_error();
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail(request, response, call, stopped ? shutting_down() : error, 0);
  }
}

void NativeApi::submit(const httplib::Request& request, httplib::Response& response, const Call& call,
                       AnswerRequest asked, bool streamed) {
  std::shared_ptr<ResponseStream> stream;
  try {
    const std::string model = asked.model;
    stream = service_.submit(std::move(asked));
    const AnswerHead head{call.id, served_model(service_, model), stream->model_version()};
    response.set_header("X-Model-Version", std::to_string(head.model_version));
    if (streamed) {
      answer_stream(request, response, call, stream, head);
    } else {
      answer_whole(request, response, call, *stream, head);
    }
  } catch (...) {
    if (stream) stream->cancel();
    fail(request, response, call, thrown_error(), 0);
  }
}

void NativeApi::answer_whole(const httplib::Request& request, httplib::Response& response, const Call& call,
                             ResponseStream& stream, const AnswerHead& head) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  WholeAnswer answer = wait_for_answer(stream, options_.poll_interval_ms, is_unwanted);
  if (answer.error) {
    const bool stopped = answer.error->code() == Code::kCancelled && listener_.stopping();
    fail(request, response, call, stopped ? shutting_down() : *answer.error, head.model_version);
    return;
  }
  response.set_content(answer_json(head, answer.text, *answer.summary), "application/json");
  record(call, 200, head.model_version, &*answer.summary);
}

void NativeApi::answer_stream(const httplib::Request& request, httplib::Response& response, const Call& call,
                              std::shared_ptr<ResponseStream> stream, const AnswerHead& head) {
  // The status line waits for the first event: what fails before it is a plain HTTP error.
  std::optional<Event> first;
  while (!(first = stream->next_for(options_.poll_interval_ms))) {
    if (!request.is_connection_closed() && !listener_.stopping()) continue;
    stream->cancel();
    fail(request, response, call, listener_.stopping() ? shutting_down() : client_gone(), head.model_version);
    return;
  }
  if (first->error) {
    fail(request, response, call, *first->error, head.model_version);
    return;
  }
  auto sse = std::make_shared<SseAnswer>(
      std::move(stream), std::move(*first), head, options_.poll_interval_ms, [this] { return listener_.stopping(); },
      [this, call, version = head.model_version](int code, const Summary* summary) {
        record(call, code, version, summary);
      });
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");
  response.set_chunked_content_provider(
      "text/event-stream", [sse](size_t, httplib::DataSink& sink) { return sse->write_next(sink); },
      [sse](bool whole) { sse->close(whole); });
}

void NativeApi::fail(const httplib::Request& request, httplib::Response& response, const Call& call, const Error& error,
                     int64_t model_version) {
  write_error(response, request, error, call.id, service_.retry_after_seconds());
  record(call, response.status, model_version, nullptr);
}

void NativeApi::record(const Call& call, int status, int64_t model_version, const Summary* summary) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service_.record_finished("rest", std::to_string(status), call.id, model_version, summary, elapsed.count());
}

void NativeApi::model(const httplib::Request& request, httplib::Response& response) {
  const std::string& id = request.path_params.at("id");
  for (const ModelDescription& model : service_.models()) {
    if (model.id != id) continue;
    response.set_content(model_json(model), "application/json");
    return;
  }
  throw Error(Code::kNotFound, "model: unknown", "model");
}

}  // namespace sf::server
