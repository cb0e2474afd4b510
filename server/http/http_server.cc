#include "server/http/http_server.h"

#include <algorithm>

#include "server/connections/listening_socket.h"
#include "server/http/access.h"
#include "server/http/admin_api.h"
#include "server/http/answer_json.h"
#include "server/http/health_api.h"
#include "server/http/host_check.h"
#include "server/http/kserve_infer_api.h"
#include "server/http/kserve_models_api.h"
#include "server/http/kserve_repository_api.h"
#include "server/http/listener.h"
#include "server/http/native_api.h"
#include "server/http/openai_api.h"
#include "server/http/page.h"

namespace sf::server {

namespace {

constexpr size_t kLargestBodies = 8;  // that are read at the same time

HttpOptions with_budget(HttpOptions options) {
  if (!options.body_budget) {
    options.body_budget = std::make_shared<ByteBudget>(kLargestBodies * options.limits.max_body_bytes);
  }
  return options;
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpOptions given, Service& service)
      : options(with_budget(std::move(given))),
        listener({.host = options.host,
                  .port = options.port,
                  .num_threads = options.limits.num_frontend_threads(),
                  .max_connections = options.max_connections > 0 ? options.max_connections
                                                                 : std::min<size_t>(4096, open_file_limit() / 2),
                  .idle_timeout_s = options.idle_timeout_s,
                  .read_timeout_s = options.read_timeout_s,
                  .head_timeout_s = options.head_timeout_s,
                  .write_timeout_s = options.write_timeout_s,
                  .max_body_bytes = options.limits.max_body_bytes,
                  .is_urgent = is_health,
                  .keys = options.keys,
                  .cors_origins = options.cors_origins,
                  .certificate = options.certificate},
                 service),
        native(options, service, listener),
        openai(options, service, listener),
        kserve_models(options, service, listener, *options.infer_statistics),
        kserve_infer(options, service, listener, *options.infer_statistics) {
    native.register_routes();
    openai.register_routes();
    kserve_models.register_routes();
    kserve_infer.register_routes();
    register_repository_routes(listener, service,
                               options.keys ? RepositoryRules::kWithKeys : RepositoryRules::kRefuseChanges);
    register_health_routes(listener, service);
    listener.get("/version", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(version_json(options.program_version), "application/json");
    });
    register_openapi(listener);
    register_version_routes(listener, service);
    if (options.ui) register_page(listener, options.grpc_port);
    if (options.keys == nullptr) {
      PublicRules rules{is_loopback_host(options.host), options.allowed_hosts, options.cors_origins};
      listener.set_gate([rules](const auto& request, auto&) { check_public_request(rules, request); });
      return;
    }
    register_admin_routes(listener, service);
    listener.set_gate(
        [keys = options.keys](const auto& request, auto& response) { admit_request(*keys, request, response); });
  }

  const HttpOptions options;
  Listener listener;
  NativeApi native;
  OpenAiApi openai;
  KserveModelsApi kserve_models;
  KserveInferApi kserve_infer;
};

HttpServer::HttpServer(HttpOptions options, Service& service)
    : impl_(std::make_unique<Impl>(std::move(options), service)) {}
HttpServer::~HttpServer() { stop(); }

void HttpServer::start() { impl_->listener.start(); }
std::vector<std::string> HttpServer::routes() const { return impl_->listener.routes(); }
size_t HttpServer::num_connections() const { return impl_->listener.num_connections(); }
int HttpServer::port() const { return impl_->listener.port(); }
void HttpServer::drain() { impl_->listener.drain(); }
void HttpServer::stop() { impl_->listener.stop(); }

}  // namespace sf::server
