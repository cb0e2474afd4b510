// What a finished request says to a trace collector, as OTLP/HTTP's JSON: one server span, and below it its image,
// its wait, its prefill and its decode, with OpenTelemetry's attributes of HTTP or RPC and of generative AI. No prompt,
// no image, no key. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
//
//   const std::string body = export_request_json({.name = "sparsefusion-server", .version = "0.1.0"}, requests);
//
// Thread-safe: values and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "server/outbound/otlp_json.h"
#include "server/service/request_log.h"

namespace sf::server {

// A RequestRecord that outlives its request.
struct RequestSpans {
  TraceContext trace;
  std::string request_id, api, code, reason;
  int64_t model_version = 0;
  int64_t start_unix_ns = 0, end_unix_ns = 0;
  std::optional<Usage> usage;  // with `timings`, of an answer that went well; else the request has one span only
  bool cut = false;            // at max_tokens or the context
  Timings timings;
  RequestOrigin origin;

  size_t num_spans() const { return usage ? 5 : 1; }
};

RequestSpans request_spans(const RequestRecord& record);

// An ExportTraceServiceRequest: ids in hex, times as strings of nanoseconds since the Unix epoch.
std::string export_request_json(const OtlpSource& source, std::span<const RequestSpans> requests);

}  // namespace sf::server
