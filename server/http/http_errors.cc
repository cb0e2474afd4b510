#include "server/http/http_errors.h"

#include <httplib.h>

#include <nlohmann/json.hpp>

namespace sf::server {
namespace {

using nlohmann::json;

// A message may quote what the client sent, and that may be a megabyte.
constexpr size_t kMaxQuotedBytes = 1024;

// OpenAI's vocabulary for error.type.
const char* openai_type(int status) {
  switch (status) {
    case 403:
      return "permission_error";
    case 429:
      return "requests";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

// OpenAI's codes where it has one, so that programs written for it know what happened.
const char* error_code(const Error& error) {
  if (const char* name = reason_name(error.reason())) return name;
  switch (error.code()) {
    case Code::kInvalidArgument:
      return "invalid_value";
    case Code::kCancelled:
      return "cancelled";
    case Code::kDeadlineExceeded:
      return "deadline_exceeded";
    case Code::kNotFound:
      if (error.field().empty()) return "unknown_url";
      return error.field() == "model" ? "model_not_found" : "not_found";
    case Code::kPermissionDenied:
      return "permission_denied";
    case Code::kUnauthenticated:
      return "invalid_api_key";
    case Code::kResourceExhausted:
      return "rate_limit_exceeded";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kUnimplemented:
      return error.field().empty() ? "method_not_allowed" : "unsupported_parameter";
    case Code::kFailedPrecondition:
      return "failed_precondition";
    case Code::kOutOfRange:
      return "context_length_exceeded";
    default:
      return "internal";
  }
}

}  // namespace

int http_status(const Error& error) {
  switch (error.code()) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return error.reason() == Reason::kUnsupportedType ? 415 : 400;
    case Code::kResourceExhausted:
      return error.reason() == Reason::kTooLarge ? 413 : 429;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kUnimplemented:  // a field that is not offered, or a method
      return error.field().empty() ? 405 : 400;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kCancelled:
      return 499;
    case Code::kUnavailable:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss:
      return 500;
  }
  return 500;
}

std::string error_body(const Error& error, const std::string& path, const std::string& request_id) {
  const int status = http_status(error);
  const std::string message =
      status == 500 ? "internal error; request " + request_id : std::string(error.what()).substr(0, kMaxQuotedBytes);
  const bool has_param = !error.field().empty() && status != 500 && status != 401 && status != 403;
  const json param = has_param ? json(error.field().substr(0, kMaxQuotedBytes)) : json(nullptr);
  const json body =
      path.starts_with("/v2")
          ? json{{"error", message}}
          : json{
                {"error",
                 {{"message", message}, {"type", openai_type(status)}, {"param", param}, {"code", error_code(error)}}}};
  // Messages may quote what the client sent, which need not be UTF-8.
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

void write_error(httplib::Response& response, const httplib::Request& request, const Error& error,
                 const std::string& request_id, int retry_after_s) {
  response.status = http_status(error);
  if (response.status == 429 || response.status == 503) {
    if (!response.has_header("Retry-After")) response.set_header("Retry-After", std::to_string(retry_after_s));
  }
  if (response.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  response.set_content(error_body(error, request.path, request_id), "application/json");
}

}  // namespace sf::server
