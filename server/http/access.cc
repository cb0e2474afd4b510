#include "server/http/access.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "server/http/health_api.h"
#include "server/http/page.h"
#include "server/web/web_files.h"

namespace sf::server {
namespace {

bool is_health(const std::string& path) {
  const auto is_in = [&](const auto& paths) {
    return std::find(std::begin(paths), std::end(paths), path) != std::end(paths);
  };
  return is_in(kLivePaths) || is_in(kReadyPaths);
}

// The credentials of a request, as an Authorization header. Errors: Unauthenticated where its headers name two.
std::string authorization_of(const httplib::Request& request) {
  if (request.get_header_value_count("Authorization") > 1 || request.get_header_value_count("X-Api-Key") > 1) {
    throw Error(Code::kUnauthenticated, "Authorization: more than one key was sent", "Authorization");
  }
  return join_credentials(request.get_header_value("Authorization"), request.get_header_value("X-Api-Key"));
}

bool is_page(const std::string& path) {
  if (path == kPageFacts) return true;
  const auto& files = web_files();
  return std::any_of(files.begin(), files.end(),
                     [&](const WebFile& file) { return file.path == path && path != "/openapi.json"; });
}

}  // namespace

Access access_of(const std::string& method, const std::string& path) {
  const bool reads = method == "GET" || method == "HEAD";
  if (reads && (is_health(path) || is_page(path))) return Access::kPublic;
  if (path.starts_with("/v1/admin/") || path.starts_with("/v2/repository/models/")) return Access::kAdmin;
  if (path == "/v2/repository/index") return Access::kAnyKey;
  return method == "POST" ? Access::kInfer : Access::kAnyKey;
}

void admit_request(KeyRing& keys, const httplib::Request& request, httplib::Response& response) {
  const Access access = access_of(request.method, request.path);
  if (access == Access::kPublic) return;
  try {
    keys.admit(authorization_of(request), access);
  } catch (const RateLimited& error) {
    response.set_header("Retry-After", std::to_string(error.retry_after_s()));
    throw;
  }
}

std::string caller_of(const KeyRing* keys, const httplib::Request& request) {
  if (keys == nullptr) return "";
  try {
    return keys->name_of(authorization_of(request));
  } catch (const Error&) {
    return "";  // two keys are none
  }
}

}  // namespace sf::server
