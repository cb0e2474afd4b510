#include "server/outbound/request_spans.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace sf::server {
namespace {

using nlohmann::json;

constexpr int kInternalSpan = 1, kServerSpan = 2;  // SpanKind
constexpr int kErrorStatus = 2;                    // StatusCode
constexpr int kSampledFlag = 1;

json attribute(const char* key, const std::string& value) {
  return {{"key", key}, {"value", {{"stringValue", value}}}};
}

json attribute(const char* key, int64_t value) {
  return {{"key", key}, {"value", {{"intValue", std::to_string(value)}}}};
}

// Whose fault: a client's mistake leaves a server span's status unset.
bool is_our_fault(const std::string& code) {
  static const std::set<std::string> kCodes = {"INTERNAL",    "UNKNOWN",           "DATA_LOSS",
                                               "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"};
  return code.size() == 3 ? code[0] == '5' : kCodes.contains(code);
}

json span_json(const RequestSpans& request, const std::string& span_id, const std::string& parent_id, const char* name,
               int kind, int64_t start_ns, int64_t end_ns) {
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

json request_span(const RequestSpans& request) {
  json span = span_json(request, request.trace.span_id, request.trace.parent_id, "request", kServerSpan,
                        request.start_unix_ns, request.end_unix_ns);
  json attributes = {attribute("sparsefusion.api", request.api), attribute("sparsefusion.code", request.code),
                     attribute("sparsefusion.request_id", request.request_id)};
  if (!request.reason.empty()) attributes.push_back(attribute("sparsefusion.reason", request.reason));
  if (request.model_version > 0) {
    attributes.push_back(attribute("sparsefusion.model_version", request.model_version));
  }
  if (request.usage) {
    attributes.push_back(attribute("sparsefusion.tokens.image", request.usage->image_tokens));
    attributes.push_back(attribute("sparsefusion.tokens.prompt", request.usage->prompt_tokens));
    attributes.push_back(attribute("sparsefusion.tokens.completion", request.usage->completion_tokens));
    attributes.push_back(attribute("sparsefusion.tokens.cached", request.usage->cached_tokens));
  }
  span["attributes"] = std::move(attributes);
  if (is_our_fault(request.code)) span["status"] = {{"code", kErrorStatus}};
  return span;
}

int64_t nanoseconds(double milliseconds) { return std::llround(std::max(0.0, milliseconds) * 1e6); }

// The phases, laid end to end backwards from the request's end; the picture is prepared before the request queues.
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
                     .timings = {}};
  spans.start_unix_ns = spans.end_unix_ns - nanoseconds(record.duration_s * 1e3);
  if (record.summary == nullptr) return spans;
  spans.usage = record.summary->usage;
  spans.timings = record.summary->timings;
  return spans;
}

std::string export_request_json(const SpanSource& source, std::span<const RequestSpans> requests) {
  json spans = json::array();
  for (const RequestSpans& request : requests) {
    spans.push_back(request_span(request));
    if (request.usage) add_phases(request, spans);
  }
  const json scope_spans = {{"scope", {{"name", "sparsefusion"}, {"version", source.version}}},
                            {"spans", std::move(spans)}};
  const json resource = {
      {"attributes", {attribute("service.name", source.name), attribute("service.version", source.version)}}};
  const json body = {
      {"resourceSpans", json::array({{{"resource", resource}, {"scopeSpans", json::array({scope_spans})}}})}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sf::server
