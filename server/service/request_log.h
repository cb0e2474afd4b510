// One JSON line per request: id, api, method, route, client address, key name, code, field at fault, trace, version,
// tokens, timings. Never an image, never a prompt.
//
//   log(request_log_line({.request_id = "id-1", .api = "rest", .code = "200", .origin = call.origin, ...}));
//
// Thread-safe: free functions.
#pragma once

#include <cstdint>
#include <string>

#include "server/scheduler/response_stream.h"
#include "server/service/request_ids.h"

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
  RequestOrigin origin = {};
  std::string field = {};  // that an error named
};

// The JSON object, without a line end; a member whose value is empty is left out. Bytes that are no UTF-8 come out as
// U+FFFD, and what a client chose (path, field) is cut to 128 bytes.
std::string request_log_line(const RequestRecord& record);

// What went wrong inside, beside the id that the client saw.
std::string failure_log_line(const std::string& request_id, const std::string& what);

}  // namespace sf::server
