#include "server/http/health_api.h"

namespace sf::server {
namespace {

void write_health(httplib::Response& response, bool good, const char* name, int retry_after_s) {
  response.status = good ? 200 : 503;
  if (!good) response.set_header("Retry-After", std::to_string(retry_after_s));
  response.set_header("Cache-Control", "no-store");
  response.set_content(std::string("{\"") + name + "\": " + (good ? "true" : "false") + "}", "application/json");
}

}  // namespace

void register_health_routes(Listener& listener, Service& service) {
  const auto live = [&service](const httplib::Request&, httplib::Response& response) {
    write_health(response, service.health().live, "live", service.retry_after_seconds());
  };
  const auto ready = [&service](const httplib::Request&, httplib::Response& response) {
    write_health(response, service.health().ready, "ready", service.retry_after_seconds());
  };
  for (const char* path : kLivePaths) listener.get(path, live);
  for (const char* path : kReadyPaths) listener.get(path, ready);
  listener.get("/metrics", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(service.metrics_text(), "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace sf::server
