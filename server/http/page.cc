#include "server/http/page.h"

#include "server/web/web_files.h"

namespace sf::server {
namespace {

constexpr std::string_view kOpenApiPath = "/openapi.json";

// Nothing from elsewhere, nothing inline; blob: shows the image that the user chose.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void serve(const WebFile& file, const httplib::Request& request, httplib::Response& response) {
  const std::string tag = '"' + std::string(file.digest) + '"';
  response.set_header("ETag", tag);
  response.set_header("Cache-Control", "no-cache");
  response.set_header("Content-Security-Policy", kContentPolicy);
  response.set_header("Referrer-Policy", "no-referrer");
  if (request.get_header_value("If-None-Match") == tag) {
    response.status = 304;
    return;
  }
  response.set_content(file.content.data(), file.content.size(), std::string(file.content_type));
}

void register_file(Listener& listener, const WebFile& file) {
  listener.get(std::string(file.path),
               [&file](const auto& request, auto& response) { serve(file, request, response); });
}

}  // namespace

void register_page(Listener& listener, std::function<int()> grpc_port) {
  listener.get(kPageFacts, [grpc_port = std::move(grpc_port)](const auto&, auto& response) {
    const int port = grpc_port ? grpc_port() : 0;
    response.set_header("Cache-Control", "no-store");
    response.set_content("{\"grpc_port\": " + (port > 0 ? std::to_string(port) : "null") + "}", "application/json");
  });
  for (const WebFile& file : web_files()) {
    if (file.path != kOpenApiPath) register_file(listener, file);
  }
}

void register_openapi(Listener& listener) {
  for (const WebFile& file : web_files()) {
    if (file.path == kOpenApiPath) register_file(listener, file);
  }
}

}  // namespace sf::server
