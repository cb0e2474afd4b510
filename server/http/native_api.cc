#include "server/http/native_api.h"

#include <chrono>
#include <optional>

#include "server/http/access.h"
#include "server/http/answer_body.h"
#include "server/http/answer_json.h"
#include "server/http/http_call.h"
#include "server/http/sse.h"
#include "server/service/explain_fields.h"
#include "server/service/wait_for_answer.h"
#include "server/wire/thrown_error.h"

namespace sf::server {

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
  const HttpCall call = begin_call("rest", request, response);
  AnswerRequest asked;
  std::optional<ExplainRequest> explained;
  bool streamed = false;
  try {
    AnswerFields fields =
        read_answer_body(request, reader, options_.limits, body_limits(options_, listener_), fetch_of(request));
    refuse_explain_fields(fields.explain);
    streamed = fields.stream;
    if (fields.explained) {
      if (!fields.seed) fields.seed = random_seed();  // of both
      explained = make_answer_explanation(fields, call.id, "rest");
      explained->question.tenant = caller_of(options_.keys, request);
    }
    asked = make_answer_request(std::move(fields), call.id, "rest", &service_);
    asked.tenant = caller_of(options_.keys, request);
    asked.spent_s = spent_s(call);
  } catch (...) {
    refuse_call(service_, call, request, response, thrown_error());
    return;
  }
  submit(request, response, call, std::move(asked), streamed, explained ? &*explained : nullptr);
}

void NativeApi::explain(const httplib::Request& request, httplib::Response& response,
                        const httplib::ContentReader& reader) {
  const HttpCall call = begin_call("rest", request, response);
  ExplainRequest asked;
  try {
    AnswerFields fields =
        read_answer_body(request, reader, options_.limits, body_limits(options_, listener_), fetch_of(request));
    asked = make_explain_request(std::move(fields), call.id, "rest");
    asked.question.tenant = caller_of(options_.keys, request);
    asked.question.spent_s = spent_s(call);
  } catch (...) {
    refuse_call(service_, call, request, response, thrown_error());
    return;
  }
  try {
    const bool image = asked.image;
    const ExplainResult result =
        service_.explain(std::move(asked), [&] { return request.is_connection_closed() || listener_.stopping(); });
    response.set_header("X-Model-Version", std::to_string(result.model_version));
    if (image) {
      response.set_content(result.png, "image/png");
    } else {
      const AnswerHead head{call.id, result.model, result.model_version};
      response.set_content(explain_json(head, result.explanation), "application/json");
    }
    record_call(service_, call, 200, result.model_version, nullptr);
  } catch (...) {
    const Error error = thrown_error();
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail_call(service_, call, request, response, stopped ? shutting_down() : error, 0);
  }
}

FetchImage NativeApi::fetch_of(const httplib::Request& request) const {
  return fetch_for(options_.fetch_image, {.tenant = caller_of(options_.keys, request),
                                          .is_unwanted = [&request] { return request.is_connection_closed(); }});
}

void NativeApi::submit(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                       AnswerRequest asked, bool streamed, const ExplainRequest* explained) {
  std::shared_ptr<ResponseStream> stream;
  try {
    const std::string model = asked.model;
    asked.is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
    ExplainResult explanation;
    stream = explained ? explain_and_submit(request, call, std::move(asked), *explained, explanation)
                       : service_.submit(std::move(asked));
    const AnswerHead head{call.id, served_model(service_, model), stream->model_version()};
    response.set_header("X-Model-Version", std::to_string(head.model_version));
    if (streamed) {
      answer_stream(request, response, call, stream, head);
    } else {
      answer_whole(request, response, call, *stream, head, explained ? &explanation : nullptr);
    }
  } catch (...) {
    if (stream) stream->cancel();
    const Error error = thrown_error();
    const bool stopped = error.code() == Code::kCancelled && listener_.stopping();
    fail_call(service_, call, request, response, stopped ? shutting_down() : error, 0);
  }
}

// The explanation first: while too many are under way, nothing is answered in vain. Both come from one version: if a
// new one was published in between, both are made again.
std::shared_ptr<ResponseStream> NativeApi::explain_and_submit(const httplib::Request& request, const HttpCall& call,
                                                              AnswerRequest asked, ExplainRequest explained,
                                                              ExplainResult& explanation) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    explained.question.spent_s = spent_s(call);
    explanation = service_.explain(explained, is_unwanted);
    asked.spent_s = spent_s(call);
    std::shared_ptr<ResponseStream> stream = service_.submit(asked);
    if (stream->model_version() == explanation.model_version) return stream;
    stream->cancel();
  }
  throw Error(Code::kUnavailable, "the model was replaced again and again, try again later");
}

void NativeApi::answer_whole(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                             ResponseStream& stream, const AnswerHead& head, const ExplainResult* explanation) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  WholeAnswer answer = wait_for_answer(stream, options_.poll_interval_ms, is_unwanted);
  if (answer.error) {
    const bool stopped = answer.error->code() == Code::kCancelled && listener_.stopping();
    fail_call(service_, call, request, response, stopped ? shutting_down() : *answer.error, head.model_version);
    return;
  }
  response.set_content(answer_json(head, answer.text, *answer.summary, explanation), "application/json");
  record_call(service_, call, 200, head.model_version, &*answer.summary);
}

void NativeApi::answer_stream(const httplib::Request& request, httplib::Response& response, const HttpCall& call,
                              std::shared_ptr<ResponseStream> stream, const AnswerHead& head) {
  const auto is_unwanted = [&] { return request.is_connection_closed() || listener_.stopping(); };
  FirstEvent first = wait_for_first_event(*stream, {.poll_interval_ms = options_.poll_interval_ms}, is_unwanted);
  if (first.unwanted) {
    stream->cancel();
    fail_call(service_, call, request, response, listener_.stopping() ? shutting_down() : client_gone(),
              head.model_version);
    return;
  }
  if (first.event->error) {
    fail_call(service_, call, request, response, *first.event->error, head.model_version);
    return;
  }
  auto sse = std::make_shared<SseAnswer>(
      std::move(stream), std::move(*first.event), head, options_.poll_interval_ms,
      [this] { return listener_.stopping(); },
      [this, call, version = head.model_version](int code, const Summary* summary) {
        record_call(service_, call, code, version, summary);
      });
  respond_with_events(response, std::move(sse));
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
