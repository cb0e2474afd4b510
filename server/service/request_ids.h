// By what a request is known outside: its id, and its place in the caller's trace.
#pragma once

#include <string>
#include <utility>

#include "server/guard/trace_context.h"

namespace sf::server {

struct RequestIds {
  // A request that came without a trace is its id.
  RequestIds(std::string id, TraceContext context = {})  // NOLINT(google-explicit-constructor)
      : request(std::move(id)), trace(std::move(context)) {}
  RequestIds(const char* id) : request(id) {}  // NOLINT(google-explicit-constructor)

  std::string request;
  TraceContext trace;
};

}  // namespace sf::server
