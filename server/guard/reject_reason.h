// The label `reason` of requests that a front refused before the service saw them: a small closed set, whatever
// clients send.
#pragma once

#include "engine/base/error.h"

namespace sf::server {

inline const char* reject_reason(const Error& error) {
  switch (error.reason()) {
    case Reason::kTooLarge:
      return "too_large";
    case Reason::kUnsupportedType:
      return "unsupported_type";
    case Reason::kQueueFull:
      return "queue_full";
    case Reason::kDraining:
      return "draining";
    case Reason::kNone:
      break;
  }
  switch (error.code()) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kUnimplemented:
      return "method_not_allowed";
    case Code::kDeadlineExceeded:
      return "deadline";
    case Code::kCancelled:
      return "client_gone";
    default:
      return "internal";
  }
}

}  // namespace sf::server
