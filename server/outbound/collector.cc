#include "server/outbound/collector.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using std::chrono::milliseconds;

constexpr int kConnectTimeoutMs = 500;
constexpr size_t kMaxResponseBytes = 1 << 20;

Error bad_endpoint(const std::string& flag) {
  return invalid_argument(flag, flag, ": must be http://HOST[:PORT][/PATH] or https://...");
}

}  // namespace

CollectorUrl parse_collector_url(const std::string& url, const std::string& default_path, const std::string& flag) {
  const size_t scheme = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
  if (scheme == 0 || url.find_first_of(" \t\r\n?#@") != std::string::npos) throw bad_endpoint(flag);
  const size_t slash = url.find('/', scheme);
  const std::string path = slash == std::string::npos ? "" : url.substr(slash);
  const CollectorUrl parts{url.substr(0, slash), path.empty() || path == "/" ? default_path : path};
  if (parts.origin.size() == scheme || parts.origin[scheme] == ':') throw bad_endpoint(flag);
  return parts;
}

std::string metrics_endpoint(const std::string& traces, const std::string& metrics) {
  if (metrics == "none") return "";
  if (!metrics.empty()) {
    const CollectorUrl url = parse_collector_url(metrics, "/v1/metrics", "otlp-metrics-endpoint");
    return url.origin + url.path;
  }
  if (traces.empty()) return "";
  static const std::string kTraces = "/v1/traces";
  const CollectorUrl url = parse_collector_url(traces);
  if (!url.path.ends_with(kTraces)) return "";
  return url.origin + url.path.substr(0, url.path.size() - kTraces.size()) + "/v1/metrics";
}

struct CollectorConnection::Client {
  explicit Client(const std::string& origin) : http(origin) {}
  httplib::Client http;
};

CollectorConnection::CollectorConnection(CollectorUrl url, int timeout_ms)
    : url_(std::move(url)), client_(std::make_unique<Client>(url_.origin)) {
  httplib::Client& http = client_->http;
  if (!http.is_valid()) throw bad_endpoint("otlp-endpoint");
  http.set_connection_timeout(milliseconds(std::min(timeout_ms, kConnectTimeoutMs)));
  http.set_read_timeout(milliseconds(timeout_ms));
  http.set_write_timeout(milliseconds(timeout_ms));
  http.set_max_timeout(milliseconds(timeout_ms));
  http.set_follow_location(false);
  http.set_payload_max_length(kMaxResponseBytes);
  http.set_keep_alive(true);
}

CollectorConnection::~CollectorConnection() = default;

bool CollectorConnection::post(const std::string& json) {
  // Without an Expect of our own the library asks for "100 Continue" first, and waits a second, which is all that a
  // stop has, for a collector that does not answer that.
  const httplib::Headers headers = {{"Expect", ""}};
  const httplib::Result result = client_->http.Post(url_.path, headers, json, "application/json");
  return result && result->status / 100 == 2;
}

void CollectorConnection::abort() { client_->http.stop(); }

}  // namespace sf::server
