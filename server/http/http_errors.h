// The one place where an error becomes an HTTP answer (the table of docs/api.md).
//
// Pure functions.
#pragma once

#include <string>

#include "engine/base/error.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace sf::server {

int http_status(const Error& error);

// The body: OpenAI's error object, or {"error": "..."} where `path` begins with /v2. An internal error's text is not
// shown, only `request_id`.
std::string error_body(const Error& error, const std::string& path, const std::string& request_id);

// Effect: sets status, body and Retry-After (`retry_after_s`, for 429 and 503, unless a gate has set it).
void write_error(httplib::Response& response, const httplib::Request& request, const Error& error,
                 const std::string& request_id, int retry_after_s);

}  // namespace sf::server
