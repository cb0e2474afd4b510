// The one place where an error becomes a gRPC status (the table of docs/api.md).
//
// Pure functions.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "engine/base/error.h"

namespace sf::server {

// With details in google.rpc's wire format: BadRequest names the field at fault, RetryInfo says how long to wait when
// the queue is full or the server is not ready. An internal error's text is not shown, only `request_id`.
grpc::Status grpc_status(const Error& error, const std::string& request_id, int retry_after_s);

// "OK", "INVALID_ARGUMENT", ...: the label `code`.
const char* grpc_code_name(grpc::StatusCode code);

// sf::Code has gRPC's numbers. A prompt beyond the context and a field that is not offered are the caller's fault.
grpc::StatusCode status_code(const Error& error);

}  // namespace sf::server
