// Who asked for what: a request's id, its place in the caller's trace, and where it came from. For the log line and the
// spans, never for a metric's label.
//
//   service.record_rejected("rest", "400", "invalid_argument", {id, trace, origin, error.field()});
#pragma once

#include <string>
#include <utility>

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

}  // namespace sf::server
