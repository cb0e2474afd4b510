#include "server/http/access.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "server/http/page.h"
#include "server/web/web_files.h"

namespace sf::server {
namespace {

bool is_page(const std::string& path) {
  if (path == kPageFacts) return true;
  const auto& files = web_files();
  return std::any_of(files.begin(), files.end(),
                     [&](const WebFile& file) { return file.path == path && path != "/openapi.json"; });
}

}  // namespace

bool is_health(const std::string& path) {
  static constexpr const char* kPaths[] = {"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz"};
  return std::find(std::begin(kPaths), std::end(kPaths), path) != std::end(kPaths);
}

Access access_of(const std::string& method, const std::string& path) {
  const bool reads = method == "GET" || method == "HEAD";
  if (reads && (is_health(path) || is_page(path))) return Access::kPublic;
  if (path.starts_with("/v1/admin/") || path.starts_with("/v2/repository/models/")) return Access::kAdmin;
  if (path == "/v2/repository/index") return Access::kAnyKey;
  return method == "POST" ? Access::kInfer : Access::kAnyKey;
}

void admit_request(KeyRing& keys, const httplib::Request& request, httplib::Response& response) {
  try {
    keys.admit(request.get_header_value("Authorization"), access_of(request.method, request.path));
  } catch (const RateLimited& error) {
    response.set_header("Retry-After", std::to_string(error.retry_after_s()));
    throw;
  }
}

std::string caller_of(const KeyRing* keys, const httplib::Request& request) {
  return keys == nullptr ? "" : keys->name_of(request.get_header_value("Authorization"));
}

}  // namespace sf::server
