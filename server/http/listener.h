// One bounded httplib server on one port: timeouts, pool, routes with 405 and 404, refusals that need no handler.
//
//   Listener listener({.host = "127.0.0.1", .port = 0, .num_threads = 128}, service);
//   listener.get("/healthz", [](const httplib::Request&, httplib::Response& res) { ... });
//   listener.start();
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/guard/api_keys.h"
#include "server/guard/server_certificate.h"
#include "server/http/head_deadline.h"
#include "server/service/service.h"

namespace sf::server {

struct ListenerOptions {
  std::string host;
  int port = 0;  // 0 = any free one
  int num_threads = 8;
  int keep_alive_timeout_s = 2;
  int read_timeout_s = 5;
  int head_timeout_s = 10;  // for a request's head, since the connection was seen or its last answer went out
  int write_timeout_s = 5;
  size_t max_body_bytes = 0;   // of a POST; a little more is read and thrown away so that the client sees its 413
  bool count_refusals = true;  // whether refused requests are counted in the metrics; they are logged in any case
  KeyRing* keys = nullptr;     // for the names of callers in the log; null: nobody needs a key
  std::vector<std::string> cors_origins = {};                 // whose pages may call; "*" = everybody's
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
};

// start() and stop() belong to one thread; handlers run on the pool's.
class Listener {
 public:
  using Handler = httplib::Server::Handler;
  using PostHandler = httplib::Server::HandlerWithContentReader;
  // Looked at before routing; throws Error to refuse, after it has set the headers that explain it.
  using Gate = std::function<void(const httplib::Request&, httplib::Response&)>;

  Listener(ListenerOptions options, Service& service);
  ~Listener();

  // `path` may hold parameters, each a whole segment: "/v2/models/:model/infer". One that is met by several routes goes
  // to the first that was added. REQUIRES: before start().
  // Each get is a line of the log, but those of health, metrics and the page: probes and scrapes come every second.
  void get(const std::string& path, Handler handler);  // HEAD too
  void post(const std::string& path, PostHandler handler);
  void set_gate(Gate gate) { gate_ = std::move(gate); }

  // Errors: Unavailable, naming host and port.
  void start();
  void stop();
  int port() const { return port_; }
  // Effect: every answer from now on says "Connection: close".
  void drain() { draining_ = true; }
  bool stopping() const { return stopping_; }
  // "GET /v1/models/:id", in the order added.
  std::vector<std::string> routes() const;

 private:
  // Effect: the headers that let a page of an allowed origin read the answer. True if this is such a page's question
  // whether it may (a preflight), answered here.
  bool answer_cors(const httplib::Request& request, httplib::Response& response) const;
  void refuse_early(const httplib::Request& request, httplib::Response& response) const;
  // `status`: in place of the error's own; 0 = that one.
  void write_refusal(const httplib::Request& request, httplib::Response& response, const Error& error,
                     int status = 0) const;
  httplib::Server::HandlerResponse before_routing(const httplib::Request& request, httplib::Response& response);
  httplib::Server::HandlerResponse fill_error(const httplib::Request& request, httplib::Response& response);
  void add_methods(const std::string& path, const std::set<std::string>& methods);
  // Methods of all routes that `path` meets; empty if it meets none.
  std::set<std::string> methods_of(std::string_view path) const;
  // The route that takes `request`: as registered; empty if there is none.
  std::string route_of(const httplib::Request& request) const;

  struct Route {
    std::string path;
    std::vector<std::string> segments;  // a parameter begins with ':'
    std::set<std::string> methods;
  };

  const ListenerOptions options_;
  Service& service_;
  Gate gate_;
  std::vector<Route> routes_;
  HeadDeadline heads_;
  const std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
  std::atomic<int> port_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
};

// Allow's value: "GET, HEAD".
std::string join_methods(const std::set<std::string>& methods);

}  // namespace sf::server
