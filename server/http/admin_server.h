// The management port 8002: /metrics, health, versions, experts, the admin commands and KServe's model repository, on
// threads of its own, so that they answer while port 8000 is saturated. A request whose Host is not this machine is
// refused (DNS rebinding), and so is a foreign Origin.
//
//   AdminServer admin({.port = 0}, service);
//   admin.start();
//
// Thread-safe, except that start() and stop() belong to one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/auth/api_keys.h"
#include "server/auth/server_certificate.h"
#include "server/service/service.h"

namespace sf::server {

struct AdminOptions {
  std::string host = "127.0.0.1";
  int port = 8002;  // 0 = any free one
  int num_threads = 8;
  int idle_timeout_s = 75;  // of a connection between two requests
  // Names accepted in Host beside `host`, localhost and loopback addresses: what a scraper calls this machine. An IP
  // address literal is always accepted: only names can be rebound.
  std::vector<std::string> allowed_hosts = {};
  KeyRing* keys = nullptr;  // null: no key is needed. Else all but health and /metrics does. Outlives the server
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
};

class AdminServer {
 public:
  // REQUIRES: `service` outlives this.
  AdminServer(AdminOptions options, Service& service);
  ~AdminServer();  // stop()

  // Errors: Unavailable, naming host and port, if it cannot bind.
  void start();
  int port() const;  // 0 before start()
  // "GET /metrics".
  std::vector<std::string> routes() const;
  void stop();  // idempotent

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sf::server
