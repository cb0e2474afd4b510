// The label `reason` of requests that a frontend refused before the service saw them: a small closed set, independent
// of what clients send.
//
// Pure functions.
#pragma once

#include "engine/base/error.h"

namespace sf::server {

inline const char* reject_reason(const Error& error) {
  if (const char* name = reason_name(error.reason())) return name;
  switch (error.code()) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kResourceExhausted:  // every other kind of it has its reason
      return "rate_limit";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kPermissionDenied:
      return "permission_denied";
    case Code::kUnimplemented:
      return error.field().empty() ? "method_not_allowed" : "invalid_argument";
    case Code::kDeadlineExceeded:
      return "deadline";
    case Code::kCancelled:
      return "client_gone";
    default:
      return "internal";
  }
}

}  // namespace sf::server
