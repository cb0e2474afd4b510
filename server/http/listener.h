// One port: its connections (server/connections) and, over them, cpp-httplib's parsing and routing; 405, 404 and the
// refusals that need no handler.
//
//   Listener listener({.host = "127.0.0.1", .port = 0, .num_threads = 128}, service);
//   listener.get("/healthz", [](const httplib::Request&, httplib::Response& res) { ... });
//   listener.start();
//
// Thread-safe, except that start() and stop() belong to one thread. Handlers run on the pool's.
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth/api_keys.h"
#include "server/auth/server_certificate.h"
#include "server/connections/connection_loop.h"
#include "server/service/service.h"

namespace sf::server {

struct ListenerOptions {
  std::string host;
  int port = 0;                   // 0 = any free one
  int num_threads = 8;            // and two more, for urgent requests alone
  size_t max_connections = 1024;  // half of them of one peer; see ConnectionLoop
  int idle_timeout_s = 75;        // between an answer and the next request
  int read_timeout_s = 5;         // between two reads of a body
  int head_timeout_s = 10;        // for a request's head, the TLS handshake before it included
  int write_timeout_s = 5;        // a reader that takes less than a minimum is waited for that long
  size_t max_body_bytes = 0;      // of a POST; a little more is read and thrown away so that the client sees its 413
  // Whether a GET or HEAD of this path waits for nothing: such are answered while every other thread is held.
  std::function<bool(const std::string& path)> is_urgent = {};
  bool count_refusals = true;  // whether refused requests are counted in the metrics; they are logged in any case
  KeyRing* keys = nullptr;     // for the names of callers in the log; null: no key is needed
  std::vector<std::string> cors_origins = {};                 // whose pages may call; "*" = any
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
};

class Listener final : private ConnectionHandler {
 public:
  using Handler = httplib::Server::Handler;
  using PostHandler = httplib::Server::HandlerWithContentReader;
  // Looked at before routing; throws Error to refuse, after it has set the headers that explain it.
  using Gate = std::function<void(const httplib::Request&, httplib::Response&)>;

  Listener(ListenerOptions options, Service& service);
  ~Listener() override;

  // `path` may hold parameters, each a whole segment: "/v2/models/:model/infer". One that is met by several routes goes
  // to the first that was added. REQUIRES: before start().
  // Each get is a line of the log, but those of health, metrics and the page: probes and scrapes come every second.
  void get(const std::string& path, Handler handler);  // HEAD too
  void post(const std::string& path, PostHandler handler);
  void set_gate(Gate gate) { gate_ = std::move(gate); }

  // Errors: Unavailable, naming host and port.
  void start();
  void stop();
  int port() const { return loop_.port(); }
  // Effect: idle connections are closed, and every answer from now on closes its own.
  void drain();
  bool stopping() const { return stopping_; }
  // "GET /v1/models/:id", in the order added.
  std::vector<std::string> routes() const;
  size_t num_connections() const { return loop_.num_connections(); }

 private:
  class Library;

  // --- ConnectionHandler ---
  bool is_urgent(const RequestHead& head) const override;
  bool serve(RequestStream& stream, const Connection& connection, const RequestHead& head) override;
  std::string busy_answer(const Connection& connection, const RequestHead& head) const override;

  // Effect: the headers that let a page of an allowed origin read the answer. True if this is such a page's question
  // whether it may (a preflight), answered here.
  bool answer_cors(const httplib::Request& request, httplib::Response& response) const;
  void refuse_early(const httplib::Request& request, httplib::Response& response) const;
  // `status`: in place of the error's own; 0 = that one.
  void write_refusal(const httplib::Request& request, httplib::Response& response, const Error& error,
                     int status = 0) const;
  httplib::Server::HandlerResponse before_routing(const httplib::Request& request, httplib::Response& response);
  httplib::Server::HandlerResponse fill_error(const httplib::Request& request, httplib::Response& response);
  // Effect: the headers that say what becomes of the connection, and that alone becomes of it.
  void finish_head(httplib::Response& response) const;
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
  const std::unique_ptr<Library> server_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  ConnectionLoop loop_;
};

// Allow's value: "GET, HEAD".
std::string join_methods(const std::set<std::string>& methods);

}  // namespace sf::server
