// The REST frontend on port 8000: /v1/answer, /v1/chat/completions, /v1/models, /v1/versions, /v1/experts, the Open
// Inference Protocol under /v2, health, /metrics and the page at "/"; with keys the admin commands too.
//
//   HttpServer http({.host = "127.0.0.1", .port = 0}, service);
//   http.start();                       // bound and listening on http.port()
//   http.drain();                       // SIGTERM: the service refuses, kept connections are closed
//   http.stop();                        // cancels what still runs and joins every thread
//
// Thread-safe, except that start() and stop() belong to the owner's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/auth/api_keys.h"
#include "server/auth/server_certificate.h"
#include "server/kserve/infer_statistics.h"
#include "server/service/service.h"
#include "server/wire/byte_budget.h"
#include "server/wire/image_source.h"
#include "server/wire/limits.h"

namespace sf::server {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0 = any free one
  RequestLimits limits = {};
  int idle_timeout_s = 75;            // of a connection between two requests
  int read_timeout_s = 5;             // between two reads of a body
  int head_timeout_s = 10;            // for a request's head, however it trickles in
  int write_timeout_s = 5;            // a reader below the minimum rate is taken for gone after so long
  size_t max_connections = 0;         // 0 = half of the files that the process may open, at most 4096
  int body_timeout_s = 30;            // for a whole body, however it trickles in
  int poll_interval_ms = 20;          // how often a waiting handler looks whether its client is still there
  int ping_interval_ms = 15'000;      // a comment to a stream in which nothing happens
  bool ui = true;                     // the page at "/"
  std::string program_version = "0";  // what GET /v2 and /version say
  // One for all frontends that speak the Open Inference Protocol.
  std::shared_ptr<InferStatistics> infer_statistics = std::make_shared<InferStatistics>();
  KeyRing* keys = nullptr;  // null: no key is needed, and there are no admin routes. Outlives the server
  std::vector<std::string> allowed_hosts = {};  // names taken in Host on a loopback port without keys (host_check.h)
  std::vector<std::string> cors_origins = {};   // whose pages may call; "*" = any
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
  std::function<int()> grpc_port = {};                        // for the page: where gRPC answers; 0 or null: nowhere
  // Of request bodies that are being read, beyond the first MiB of each; null: eight bodies of the largest size.
  std::shared_ptr<ByteBudget> body_budget = {};
  FetchImageFor fetch_image = {};  // for images that a request names by URL; null: none is fetched
};

class HttpServer {
 public:
  // REQUIRES: `service` outlives this.
  HttpServer(HttpOptions options, Service& service);
  ~HttpServer();  // stop()

  // Effect: binds and serves on own threads; returns when connections are accepted.
  // Errors: Unavailable, naming host and port, if it cannot bind.
  void start();
  // "GET /v1/models/:id": what openapi.json must name.
  std::vector<std::string> routes() const;
  // Open now, on whatever errand.
  size_t num_connections() const;
  // The bound port; 0 before start().
  int port() const;
  // Effect: idle connections are closed, and every answer closes its own. Admission is the service's business.
  void drain();
  // Effect: accepts nothing more, cancels the streams in flight, waits for their handlers. Idempotent.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sf::server
