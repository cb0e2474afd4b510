#include "server/outbound/request_spans.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace sf::server {
namespace {

using nlohmann::json;

constexpr int kInternalSpan = 1, kServerSpan = 2;  // SpanKind
constexpr int kUnsetStatus = 0, kErrorStatus = 2;  // StatusCode
constexpr int kSampledFlag = 1;

json span_json(const RequestSpans& request, const std::string& span_id, const std::string& parent_id,
               const std::string& name, int kind, int64_t start_ns, int64_t end_ns) {
  json span = {{"traceId", request.trace.trace_id},
               {"spanId", span_id},
               {"name", name},
               {"kind", kind},
               {"flags", kSampledFlag},
               {"startTimeUnixNano", std::to_string(start_ns)},
               {"endTimeUnixNano", std::to_string(end_ns)}};
  if (!parent_id.empty()) span["parentSpanId"] = parent_id;
  return span;
}

// "/package.Service/Method": an HTTP route has no dot before its second slash.
bool is_grpc_route(const std::string& route) {
  const size_t dot = route.find('.'), slash = route.find('/', 1);
  return dot != std::string::npos && slash != std::string::npos && dot < slash;
}

// "POST /v1/answer", as the conventions of HTTP have it; gRPC: "sparsefusion.v1.VisualQuestionAnswering/Answer".
std::string span_name(const RequestSpans& request) {
  const RequestOrigin& origin = request.origin;
  if (origin.route.empty()) return origin.method.empty() ? "request" : origin.method;
  return is_grpc_route(origin.route) ? origin.route.substr(1) : origin.method + " " + origin.route;
}

void add_text(json& attributes, const char* key, const std::string& value) {
  if (!value.empty()) attributes.push_back(attribute(key, value));
}

void add_transport(const RequestSpans& request, json& attributes) {
  const RequestOrigin& origin = request.origin;
  if (is_grpc_route(origin.route)) {
    const size_t slash = origin.route.find('/', 1);
    attributes.push_back(attribute("rpc.system", "grpc"));
    attributes.push_back(attribute("rpc.service", origin.route.substr(1, slash - 1)));
    attributes.push_back(attribute("rpc.method", origin.route.substr(slash + 1)));
    attributes.push_back(attribute("rpc.grpc.status_code", int64_t{grpc_code_number(request.code)}));
  } else {
    add_text(attributes, "http.request.method", origin.method);
    add_text(attributes, "http.route", origin.route);
    add_text(attributes, "url.path", origin.path);
    if (const int status = std::atoi(request.code.c_str()); status > 0) {
      attributes.push_back(attribute("http.response.status_code", int64_t{status}));
    }
  }
  add_text(attributes, "client.address", origin.client_address);
}

void add_gen_ai(const RequestSpans& request, const std::string& model, json& attributes) {
  if (request.api == "admin" || request.model_version == 0) return;
  attributes.push_back(attribute("gen_ai.operation.name", gen_ai_operation(request.origin.route)));
  attributes.push_back(attribute("gen_ai.provider.name", kGenAiProvider));
  add_text(attributes, "gen_ai.request.model", model);
  add_text(attributes, "gen_ai.response.model", model);
  add_text(attributes, "gen_ai.response.id", request.request_id);
  if (!request.usage) return;
  attributes.push_back(attribute_list("gen_ai.response.finish_reasons", request.cut ? "length" : "stop"));
  attributes.push_back(attribute("gen_ai.usage.input_tokens", int64_t{request.usage->prompt_tokens}));
  attributes.push_back(attribute("gen_ai.usage.output_tokens", int64_t{request.usage->completion_tokens}));
}

void add_own(const RequestSpans& request, json& attributes) {
  attributes.push_back(attribute("sparsefusion.api", request.api));
  attributes.push_back(attribute("sparsefusion.code", request.code));
  attributes.push_back(attribute("sparsefusion.request_id", request.request_id));
  add_text(attributes, "sparsefusion.reason", request.reason);
  if (request.model_version > 0) {
    attributes.push_back(attribute("sparsefusion.model_version", request.model_version));
  }
  if (!request.usage) return;
  attributes.push_back(attribute("sparsefusion.tokens.image", int64_t{request.usage->image_tokens}));
  attributes.push_back(attribute("sparsefusion.tokens.prompt", int64_t{request.usage->prompt_tokens}));
  attributes.push_back(attribute("sparsefusion.tokens.completion", int64_t{request.usage->completion_tokens}));
  attributes.push_back(attribute("sparsefusion.tokens.cached", int64_t{request.usage->cached_tokens}));
}

json request_span(const RequestSpans& request, const std::string& model) {
  json span = span_json(request, request.trace.span_id, request.trace.parent_id, span_name(request), kServerSpan,
                        request.start_unix_ns, request.end_unix_ns);
  json attributes = json::array();
  add_transport(request, attributes);
  add_gen_ai(request, model, attributes);
  add_own(request, attributes);
  const bool failed = is_our_fault(request.code);
  if (failed) attributes.push_back(attribute("error.type", request.code));
  span["attributes"] = std::move(attributes);
  // The conventions leave the status of what went well, and of a client's mistake, unset.
  span["status"] = {{"code", failed ? kErrorStatus : kUnsetStatus}};
  if (failed && !request.reason.empty()) span["status"]["message"] = request.reason;
  return span;
}

int64_t nanoseconds(double milliseconds) { return std::llround(std::max(0.0, milliseconds) * 1e6); }

// The phases, laid end to end backwards from the request's end; the image is prepared before the request queues.
void add_phases(const RequestSpans& request, json& spans) {
  const std::pair<const char*, double> phases[] = {{"decode", request.timings.decode_ms},
                                                   {"prefill", request.timings.prefill_ms},
                                                   {"queue", request.timings.queue_ms},
                                                   {"image", request.timings.image_ms}};
  int64_t end_ns = request.end_unix_ns;
  for (const auto& [name, ms] : phases) {
    const int64_t start_ns = std::max(request.start_unix_ns, end_ns - nanoseconds(ms));
    spans.push_back(span_json(request, random_span_id(), request.trace.span_id, name, kInternalSpan, start_ns, end_ns));
    end_ns = start_ns;
  }
}

}  // namespace

RequestSpans request_spans(const RequestRecord& record) {
  RequestSpans spans{.trace = record.trace,
                     .request_id = record.request_id,
                     .api = record.api,
                     .code = record.code,
                     .reason = record.reason,
                     .model_version = record.model_version,
                     .start_unix_ns = 0,
                     .end_unix_ns = std::llround(record.ended_unix_s * 1e9),
                     .usage = std::nullopt,
                     .cut = false,
                     .timings = {},
                     .origin = record.origin};
  spans.start_unix_ns = spans.end_unix_ns - nanoseconds(record.duration_s * 1e3);
  if (record.summary == nullptr) return spans;
  spans.usage = record.summary->usage;
  spans.cut = record.summary->finish_reason == FinishReason::kLength;
  spans.timings = record.summary->timings;
  return spans;
}

std::string export_request_json(const OtlpSource& source, std::span<const RequestSpans> requests) {
  json spans = json::array();
  for (const RequestSpans& request : requests) {
    spans.push_back(request_span(request, source.model));
    if (request.usage) add_phases(request, spans);
  }
  const json scope_spans = {{"scope", {{"name", "sparsefusion"}, {"version", source.version}}},
                            {"spans", std::move(spans)}};
  const json body = {{"resourceSpans", json::array({{{"resource", resource_json(source)},
                                                     {"scopeSpans", json::array({scope_spans})}}})}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sf::server
