// What is recorded of one request: its ids and origin, the JSON log line, and the sink of its spans. For the log and
// the traces, never for a metric's label; never an image, never a prompt.
//
//   RequestRecord record{.request_id = "id-1", .api = "rest", .code = "200", .duration_s = 0.012};
//   record.origin.route = "/v1/answer";
//   log(request_log_line(record));
//   traces.add(record);
//
// Thread-safe: values and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "server/scheduler/response_stream.h"
#include "server/wire/trace_context.h"

namespace sf::server {

// How a request came in. All of it is known before its body is read; what is not known is empty.
struct RequestOrigin {
  std::string method;          // "POST"; gRPC's calls are POSTs too
  std::string route;           // as registered: "/v2/models/:model/infer"; gRPC: "/package.Service/Method"
  std::string path;            // what was asked for where there is no such route
  std::string client_address;  // of the connection, without its port; what a proxy says it forwards is not believed
  std::string key_name;        // of a key that is known, also where it may not do this
};

// Who asked, as a frontend hands it to the service.
struct RequestIds {
  // A request that came without a trace is its id.
  RequestIds(std::string id, TraceContext context = {}, RequestOrigin from = {},  // NOLINT(google-explicit-constructor)
             std::string field_at_fault = {})
      : request(std::move(id)), trace(std::move(context)), origin(std::move(from)), field(std::move(field_at_fault)) {}
  RequestIds(const char* id) : request(id) {}  // NOLINT(google-explicit-constructor)

  std::string request;
  TraceContext trace;
  RequestOrigin origin;
  std::string field;  // what an error named; empty without one
};

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

// One JSON object: id, api, method, route, client address, key name, code, field at fault, trace, version, tokens,
// timings. Without a line end; a member whose value is empty is left out. Bytes that are no UTF-8 come out as
// U+FFFD, and what a client chose (path, field) is cut to 128 bytes.
std::string request_log_line(const RequestRecord& record);

// What went wrong inside, beside the id that the client saw.
std::string failure_log_line(const std::string& request_id, const std::string& what);

// Where the spans of finished requests go. Thread-safe.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // The trace of a request that came without one, sampled or not.
  virtual TraceContext begin() = 0;
  // Effect: takes the request if its trace is sampled. Never blocks: what does not fit is dropped and counted.
  virtual void add(const RequestRecord& record) = 0;
};

}  // namespace sf::server
