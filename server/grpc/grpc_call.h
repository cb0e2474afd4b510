// What the services here ask of a call: its id, the time it has left, why it ends when nobody wants it any more.
// Thread-safe: free functions.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "server/guard/trace_context.h"

namespace sf::server {

// The metadata x-request-id, not yet believed; empty if there is none.
std::string offered_request_id(const grpc::ServerContext& context);

// The trace that the metadata traceparent names; not set if there is none, it is malformed or there are several.
TraceContext trace_of(const grpc::ServerContext& context);

// A deadline on the call is as good as timeout_ms (0 = none): the shorter of the two counts.
// Errors: DeadlineExceeded if it has passed.
int64_t shorter_timeout(int64_t timeout_ms, const grpc::ServerContext& context);

// Why a call that nobody wants any more ends.
Error unwanted_error(const grpc::ServerContext& context, bool stopping);

}  // namespace sf::server
