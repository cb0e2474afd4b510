// One request in a frontend's hands: its id, its API's name in the metrics, when it came and from where; and its end,
// reported to the service.
//
//   const HttpCall call = begin_call("openai", request, response);   // sets X-Request-Id
//   record_call(service, call, 200, /*model_version=*/3, /*summary=*/nullptr);   // or fail_call
//
// Thread-safe: free functions.
#pragma once

#include <httplib.h>

#include <chrono>
#include <string>

#include "server/service/service.h"

namespace sf::server {

struct HttpCall {
  std::string api;
  std::string id;
  TraceContext trace = {};
  RequestOrigin origin = {};
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

// The trace that `traceparent` names; not set if there is none, it is malformed or there are several.
TraceContext trace_of(const httplib::Request& request);

// Effect: origin_of() gives `origin` from now on. The router's call, before a handler runs.
void note_origin(httplib::Response& response, RequestOrigin origin);
// What was noted; else, of a request that never reached the router, its method and address.
RequestOrigin origin_of(const httplib::Request& request, const httplib::Response& response);

HttpCall begin_call(const std::string& api, const httplib::Request& request, httplib::Response& response);

// How long ago it came.
double spent_s(const HttpCall& call);

// Effect: the answer went out with this status; `summary` may be null.
void record_call(Service& service, const HttpCall& call, int status, int64_t model_version, const Summary* summary);

// Effect: the same for a request that only reads: it is logged and not counted.
void log_call(Service& service, const HttpCall& call, const httplib::Response& response);

// Effect: writes `error` as the response of a request that the service had seen, and records it.
void fail_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
               const Error& error, int64_t model_version);

// Effect: the same for a request that was refused before the service saw it.
void refuse_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
                 const Error& error);

// The name that answers: the one asked for, or the only one there is.
std::string served_model(const Service& service, const std::string& asked);

Error client_gone();
Error shutting_down();

}  // namespace sf::server
