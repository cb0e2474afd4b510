#include "trainer/tracking/metrics_server.h"

#include <thread>

#include <httplib.h>

#include "engine/base/error.h"

namespace sf {

struct MetricsServer::Impl {
  httplib::Server server;
  std::thread thread;
};

MetricsServer::MetricsServer(const std::string& host, int port, std::function<std::string()> text)
    : impl_(std::make_unique<Impl>()) {
  httplib::Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(2, 0, 16); };
  server.set_keep_alive_timeout(2);
  server.set_socket_options([](socket_t socket) { httplib::set_socket_opt(socket, SOL_SOCKET, SO_REUSEADDR, 1); });
  server.set_read_timeout(5);
  server.set_payload_max_length(4096);
  server.Get("/metrics", [text = std::move(text)](const httplib::Request&, httplib::Response& response) {
    response.set_content(text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  // The server's routes too, so that `sparsefusion health` is a trainer's health check as well.
  server.Get("/healthz|/v2/health/(?:live|ready)",
             [](const httplib::Request&, httplib::Response& response) { response.set_content("ok\n", "text/plain"); });
  port_ = port == 0 ? server.bind_to_any_port(host) : (server.bind_to_port(host, port) ? port : -1);
  if (port_ <= 0)
    throw Error(Code::kUnavailable, concat("metrics-port: cannot listen on ", host, ":", port), "metrics-port");
  impl_->thread = std::thread([this] { impl_->server.listen_after_bind(); });
}

MetricsServer::~MetricsServer() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace sf
