#include "server/service/request_log.h"

#include <cmath>

#include "engine/base/log.h"

namespace sf::server {
namespace {

// Of a string that the client chose.
constexpr size_t kMaxClientBytes = 128;

// Microseconds are enough for a log.
double rounded(double ms) { return std::round(ms * 1e3) / 1e3; }

nlohmann::ordered_json tokens_json(const Summary& summary) {
  return {{"image", summary.usage.image_tokens},           {"prompt", summary.usage.prompt_tokens},
          {"completion", summary.usage.completion_tokens}, {"cached", summary.usage.cached_tokens},
          {"assigned", summary.assigned_tokens},           {"overflow", summary.overflow_tokens}};
}

nlohmann::ordered_json timings_json(const Timings& timings) {
  return {{"queue_ms", rounded(timings.queue_ms)},
          {"image_ms", rounded(timings.image_ms)},
          {"prefill_ms", rounded(timings.prefill_ms)},
          {"decode_ms", rounded(timings.decode_ms)},
          {"total_ms", rounded(timings.total_ms)}};
}

void add_origin(const RequestOrigin& origin, nlohmann::ordered_json& line) {
  const std::pair<const char*, std::string> members[] = {{"method", origin.method.substr(0, kMaxClientBytes)},
                                                         {"route", origin.route},
                                                         {"path", origin.path.substr(0, kMaxClientBytes)},
                                                         {"client_address", origin.client_address},
                                                         {"key", origin.key_name}};
  for (const auto& [name, value] : members) {
    if (!value.empty()) line[name] = value;
  }
}

}  // namespace

std::string request_log_line(const RequestRecord& record) {
  nlohmann::ordered_json line = log_line(LogLevel::kInfo, "request");
  line["id"] = record.request_id;
  line["api"] = record.api;
  add_origin(record.origin, line);
  line["code"] = record.code;
  if (!record.reason.empty()) line["reason"] = record.reason;
  if (!record.field.empty()) line["field"] = record.field.substr(0, kMaxClientBytes);
  if (record.trace.is_set()) {
    line["trace_id"] = record.trace.trace_id;
    line["span_id"] = record.trace.span_id;
    if (!record.trace.parent_id.empty()) line["parent_span_id"] = record.trace.parent_id;
  }
  if (record.model_version > 0) line["version"] = record.model_version;
  if (record.summary != nullptr) {
    line["finish_reason"] = record.summary->finish_reason == FinishReason::kStop ? "stop" : "length";
    line["tokens"] = tokens_json(*record.summary);
    line["timings"] = timings_json(record.summary->timings);
  }
  line["duration_ms"] = rounded(record.duration_s * 1e3);
  return log_text(line);
}

std::string failure_log_line(const std::string& request_id, const std::string& what) {
  nlohmann::ordered_json line = log_line(LogLevel::kError, "failure");
  if (!request_id.empty()) line["id"] = request_id;
  line["error"] = what;
  return log_text(line);
}

}  // namespace sf::server
