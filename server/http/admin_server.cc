#include "server/http/admin_server.h"

#include "server/http/access.h"
#include "server/http/admin_api.h"
#include "server/http/health_api.h"
#include "server/http/host_check.h"
#include "server/http/kserve_repository_api.h"
#include "server/http/listener.h"

namespace sf::server {

struct AdminServer::Impl {
  Impl(AdminOptions given, Service& service)
      : options(std::move(given)),
        listener({.host = options.host,
                  .port = options.port,
                  .num_threads = options.num_threads,
                  .max_body_bytes = 1 << 16,
                  .count_refusals = false,
                  .keys = options.keys,
                  .certificate = options.certificate},
                 service) {
    std::vector<std::string> hosts = options.allowed_hosts;
    hosts.push_back(options.host);
    listener.set_gate([hosts, named = options.allowed_hosts, keys = options.keys](const httplib::Request& request,
                                                                                  httplib::Response& response) {
      const std::string host = request.get_header_value("Host");
      if (!is_own_host(host, hosts)) {
        throw Error(Code::kPermissionDenied, "Host: not a name of this server; see --admin-allowed-host", "Host");
      }
      if (!is_own_origin(request.get_header_value("Origin"), host, named)) {
        throw Error(Code::kPermissionDenied, "Origin: not this server", "Origin");
      }
      // A scraper on this port is the operator's own.
      if (keys == nullptr || request.path == "/metrics") return;
      admit_request(*keys, request, response);
    });
    register_health_routes(listener, service);
    register_version_routes(listener, service);
    register_admin_routes(listener, service);
    register_repository_routes(listener, service, RepositoryRules::kManagement);
  }

  const AdminOptions options;
  Listener listener;
};

AdminServer::AdminServer(AdminOptions options, Service& service)
    : impl_(std::make_unique<Impl>(std::move(options), service)) {}
AdminServer::~AdminServer() { stop(); }

void AdminServer::start() { impl_->listener.start(); }
std::vector<std::string> AdminServer::routes() const { return impl_->listener.routes(); }
int AdminServer::port() const { return impl_->listener.port(); }
void AdminServer::stop() { impl_->listener.stop(); }

}  // namespace sf::server
