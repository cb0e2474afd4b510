// One JSON line per request: id, trace, api, code, version, tokens, timings. Never a picture, never a prompt.
#pragma once

#include <cstdint>
#include <string>

#include "server/guard/trace_context.h"
#include "server/scheduler/response_stream.h"

namespace sf::server {

struct RequestRecord {
  std::string request_id;
  std::string api;
  std::string code;
  std::string reason = {};    // why it was refused; empty otherwise
  int64_t model_version = 0;  // 0 where none was involved
  const Summary* summary = nullptr;
  double duration_s = 0;
  TraceContext trace = {};  // not set where there is none
  double ended_unix_s = 0;
};

// The JSON object, without a line end. Bytes that are no UTF-8 come out as U+FFFD.
std::string request_log_line(const RequestRecord& record);

// What went wrong inside, beside the id that the client saw.
std::string failure_log_line(const std::string& request_id, const std::string& what);

}  // namespace sf::server
