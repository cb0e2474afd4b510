// What a finished request says to a trace collector, as OTLP/HTTP's JSON: one server span, and below it its picture,
// its wait, its prefill and its decode. No prompt, no picture, no key.
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
//
//   const std::string body = export_request_json({.name = "sparsefusion-server", .version = "0.1.0"}, requests);
//
// Thread-safe: values and free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "server/service/request_log.h"

namespace sf::server {

// A RequestRecord that outlives its request.
struct RequestSpans {
  TraceContext trace;
  std::string request_id, api, code, reason;
  int64_t model_version = 0;
  int64_t start_unix_ns = 0, end_unix_ns = 0;
  std::optional<Usage> usage;  // with `timings`, of an answer that went well; else the request has one span only
  Timings timings;

  size_t num_spans() const { return usage ? 5 : 1; }
};

RequestSpans request_spans(const RequestRecord& record);

// The resource: service.name and service.version.
struct SpanSource {
  std::string name, version;
};

// An ExportTraceServiceRequest: ids in hex, times as strings of nanoseconds since the Unix epoch.
std::string export_request_json(const SpanSource& source, std::span<const RequestSpans> requests);

}  // namespace sf::server
