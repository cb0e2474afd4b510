#include "server/http/listener.h"

#include <algorithm>
#include <cctype>

#include "server/guard/reject_reason.h"
#include "server/guard/request_id.h"
#include "server/guard/thrown_error.h"
#include "server/http/access.h"
#include "server/http/http_call.h"
#include "server/http/http_errors.h"
#include "server/http/tls_server.h"

namespace sf::server {
namespace {

using HandlerResponse = httplib::Server::HandlerResponse;

// An upload this many times the limit is still read to its end, into nothing, so that a client that writes before it
// reads gets its 413; beyond it the connection is cut.
constexpr size_t kDiscardFactor = 4;

std::string request_id_of(const httplib::Request& request) {
  return choose_request_id(request.get_header_value("X-Request-Id"));
}

// What httplib itself refuses: a malformed request line, headers over its limits, a broken body framing.
Error error_of_status(int status) {
  switch (status) {
    case 404:
      return Error(Code::kNotFound, "no such route");
    case 413:
      return Error(Code::kResourceExhausted, "the body is too large", "", Reason::kTooLarge);
    case 414:
      return Error(Code::kInvalidArgument, "the request target is too long");
    case 416:
      return Error(Code::kInvalidArgument, "the Range header is malformed", "Range");
    default:
      return Error(status >= 500 ? Code::kInternal : Code::kInvalidArgument, "malformed HTTP request");
  }
}

// "/v1/models/" -> {"v1", "models", ""}: a slash too many is a segment of its own, which no route has. "/" -> {""}.
std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> segments;
  size_t begin = path.starts_with('/') ? 1 : 0;
  while (true) {
    const size_t slash = path.find('/', begin);
    segments.emplace_back(path.substr(begin, slash - begin));
    if (slash == std::string_view::npos) return segments;
    begin = slash + 1;
  }
}

bool meets(const std::vector<std::string>& path, const std::vector<std::string>& route) {
  return std::equal(path.begin(), path.end(), route.begin(), route.end(), [](const auto& segment, const auto& pattern) {
    return pattern.starts_with(':') ? !segment.empty() : segment == pattern;
  });
}

// `api` in the log of what the management port answers without counting it.
constexpr const char* kManagementApi = "admin";

// The label `api` of requests that no handler saw.
const char* api_of(const std::string& path) { return path.starts_with("/v2/") ? "kserve_rest" : "rest"; }

const char* api_label(const ListenerOptions& options, const httplib::Request& request) {
  return options.count_refusals ? api_of(request.path) : kManagementApi;
}

// httplib calls a method that it does not know a malformed request; HTTP calls it one that is not allowed.
bool is_unknown_method(const httplib::Request& request) {
  static const std::set<std::string> kKnown = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                               "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"};
  const auto is_token = [](unsigned char c) { return std::isupper(c) || c == '-' || c == '_'; };
  return !request.method.empty() && request.method.size() <= 32 && request.target.starts_with('/') &&
         std::all_of(request.method.begin(), request.method.end(), is_token) && !kKnown.contains(request.method);
}

// A thread for each connection, and how many there are.
class CountedPool final : public httplib::TaskQueue {
 public:
  // All threads from the start: httplib's dynamic ones can leave a job waiting behind a stream.
  CountedPool(size_t threads, std::shared_ptr<std::atomic<int>> num_connections)
      : pool_(threads, threads, threads), num_connections_(std::move(num_connections)) {}

  bool enqueue(std::function<void()> connection) override {
    ++*num_connections_;
    const bool taken = pool_.enqueue([this, connection = std::move(connection)] {
      connection();
      --*num_connections_;
    });
    if (!taken) --*num_connections_;
    return taken;
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_;
  const std::shared_ptr<std::atomic<int>> num_connections_;
};

}  // namespace

std::string join_methods(const std::set<std::string>& methods) {
  std::string joined;
  for (const std::string& method : methods) joined += (joined.empty() ? "" : ", ") + method;
  return joined;
}

Listener::Listener(ListenerOptions options, Service& service)
    : options_(std::move(options)),
      service_(service),
      heads_(options_.head_timeout_s),
      server_(make_library_server(options_.certificate)) {
  const size_t threads = static_cast<size_t>(options_.num_threads);
  const auto num_connections = std::make_shared<std::atomic<int>>(0);
  server_->new_task_queue = [threads, num_connections] { return new CountedPool(threads, num_connections); };
  server_->set_keep_alive_timeout(options_.keep_alive_timeout_s);
  server_->set_read_timeout(options_.read_timeout_s);
  server_->set_write_timeout(options_.write_timeout_s);
  server_->set_payload_max_length(options_.max_body_bytes * kDiscardFactor + 1);
  server_->set_tcp_nodelay(true);
  // The library sets SO_REUSEPORT, with which a second server would share the port unnoticed instead of failing.
  server_->set_socket_options([](socket_t socket) { httplib::set_socket_opt(socket, SOL_SOCKET, SO_REUSEADDR, 1); });
  server_->set_default_headers({{"X-Content-Type-Options", "nosniff"}});
  server_->set_pre_routing_handler(
      [this](const auto& request, auto& response) { return before_routing(request, response); });
  server_->set_error_handler(
      [this](const httplib::Request& request, httplib::Response& response) { return fill_error(request, response); });
  server_->set_post_routing_handler(
      [this, num_connections](const httplib::Request& request, httplib::Response& response) {
        if (!response.has_header("X-Request-Id")) response.set_header("X-Request-Id", request_id_of(request));
        // A connection that is kept holds a thread while it is idle: not where half of them are taken.
        const bool crowded = *num_connections > options_.num_threads / 2;
        if (crowded && !response.has_header("Connection")) response.set_header("Connection", "close");
        if (response.get_header_value("Connection") == "close") response.headers.erase("Keep-Alive");
      });
  server_->set_logger([this](const httplib::Request& request, const httplib::Response&) { heads_.answered(request); });
  server_->set_exception_handler([this](const auto& request, auto& response, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (...) {
      write_refusal(request, response, thrown_error());
    }
  });
}

Listener::~Listener() { stop(); }

void Listener::get(const std::string& path, Handler handler) {
  add_methods(path, {"GET", "HEAD"});
  if (access_of("GET", path) == Access::kPublic || path == "/metrics") {
    server_->Get(path, std::move(handler));
    return;
  }
  server_->Get(path, [this, handler = std::move(handler)](const auto& request, auto& response) {
    const HttpCall call = begin_call(api_label(options_, request), request, response);
    handler(request, response);
    log_call(service_, call, response);
  });
}

void Listener::post(const std::string& path, PostHandler handler) {
  add_methods(path, {"POST"});
  server_->Post(path, std::move(handler));
}

void Listener::add_methods(const std::string& path, const std::set<std::string>& methods) {
  routes_.push_back({path, split_path(path), methods});
}

void Listener::start() {
  const bool bound = options_.port == 0 ? (port_ = server_->bind_to_any_port(options_.host)) > 0
                                        : server_->bind_to_port(options_.host, options_.port);
  if (!bound) {
    throw Error(Code::kUnavailable, concat("cannot listen on ", options_.host, ":", options_.port,
                                           ": is it in use, or not an address of this machine?"));
  }
  if (options_.port != 0) port_ = options_.port;
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  server_->wait_until_ready();
  heads_.start(port_);
}

void Listener::stop() {
  stopping_ = true;
  server_->stop();
  if (thread_.joinable()) thread_.join();
  heads_.stop();
}

std::vector<std::string> Listener::routes() const {
  std::vector<std::string> names;
  for (const Route& route : routes_) names.push_back((route.methods.contains("GET") ? "GET " : "POST ") + route.path);
  return names;
}

std::set<std::string> Listener::methods_of(std::string_view path) const {
  std::set<std::string> methods;
  const std::vector<std::string> segments = split_path(path);
  for (const Route& route : routes_) {
    if (meets(segments, route.segments)) methods.insert(route.methods.begin(), route.methods.end());
  }
  return methods;
}

std::string Listener::route_of(const httplib::Request& request) const {
  const std::vector<std::string> segments = split_path(request.path);
  std::string of_other_method;
  for (const Route& route : routes_) {
    if (!meets(segments, route.segments)) continue;
    if (route.methods.contains(request.method)) return route.path;
    if (of_other_method.empty()) of_other_method = route.path;
  }
  return of_other_method;
}

bool Listener::answer_cors(const httplib::Request& request, httplib::Response& response) const {
  if (options_.cors_origins.empty()) return false;
  const std::string origin = request.get_header_value("Origin");
  response.set_header("Vary", "Origin");
  const bool allowed = !origin.empty() && std::any_of(options_.cors_origins.begin(), options_.cors_origins.end(),
                                                      [&](const auto& one) { return one == "*" || one == origin; });
  if (!allowed) return false;
  response.set_header("Access-Control-Allow-Origin", origin);
  response.set_header("Access-Control-Expose-Headers",
                      "X-Request-Id, X-Model-Version, Retry-After, Inference-Header-Content-Length");
  if (request.method != "OPTIONS" || !request.has_header("Access-Control-Request-Method")) return false;
  response.set_header("Access-Control-Allow-Methods", "GET, POST");
  // Whatever is asked for: clients send headers of their own (the OpenAI client X-Stainless-*).
  const std::string asked = request.get_header_value("Access-Control-Request-Headers");
  response.set_header("Access-Control-Allow-Headers",
                      asked.empty() ? "Authorization, Content-Type, X-Api-Key, X-Request-Id" : asked);
  response.set_header("Access-Control-Max-Age", "600");
  response.status = 204;
  return true;
}

void Listener::refuse_early(const httplib::Request& request, httplib::Response& response) const {
  if (gate_) gate_(request, response);
  const std::string encoding = request.get_header_value("Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    throw Error(Code::kInvalidArgument, "Content-Encoding: compressed bodies are not accepted", "Content-Encoding",
                Reason::kUnsupportedType);
  }
  if (request.get_header_value_u64("Content-Length") > options_.max_body_bytes * kDiscardFactor) {
    throw Error(Code::kResourceExhausted, concat("the body is larger than ", options_.max_body_bytes, " bytes"), "",
                Reason::kTooLarge);
  }
}

void Listener::write_refusal(const httplib::Request& request, httplib::Response& response, const Error& error,
                             int status) const {
  if (!response.has_header("X-Request-Id")) response.set_header("X-Request-Id", request_id_of(request));
  const std::string id = response.get_header_value("X-Request-Id");
  write_error(response, request, error, id, service_.retry_after_seconds());
  if (status != 0) response.status = status;
  const RequestIds ids(id, trace_of(request), origin_of(request, response), error.field());
  const std::string code = std::to_string(response.status);
  if (options_.count_refusals) {
    service_.record_rejected(api_of(request.path), code, reject_reason(error), ids);
    return;
  }
  service_.log_request({.request_id = ids.request,
                        .api = kManagementApi,
                        .code = code,
                        .reason = reject_reason(error),
                        .trace = ids.trace,
                        .origin = ids.origin,
                        .field = ids.field});
}

HandlerResponse Listener::before_routing(const httplib::Request& request, httplib::Response& response) {
  heads_.arrived(request);
  RequestOrigin origin{.method = request.method,
                       .route = route_of(request),
                       .path = "",
                       .client_address = request.remote_addr,
                       .key_name = caller_of(options_.keys, request)};
  if (origin.route.empty()) origin.path = request.path;
  note_origin(response, std::move(origin));
  // Half an answer helps nobody, and the library would cut one up: a server may ignore Range (RFC 9110, 14.2). The
  // request is the library's own object, const for handlers only.
  const_cast<httplib::Request&>(request).ranges.clear();
  if (draining_) response.set_header("Connection", "close");
  if (answer_cors(request, response)) {
    log_call(service_, begin_call(api_label(options_, request), request, response), response);
    return HandlerResponse::Handled;
  }
  try {
    refuse_early(request, response);
    const std::set<std::string> methods = methods_of(request.path);
    if (methods.empty()) throw Error(Code::kNotFound, "no such route");
    if (methods.contains(request.method)) return HandlerResponse::Unhandled;
    response.set_header("Allow", join_methods(methods));
    if (request.method == "OPTIONS") {
      response.status = 204;
      log_call(service_, begin_call(api_label(options_, request), request, response), response);
      return HandlerResponse::Handled;
    }
    throw Error(Code::kUnimplemented, "method not allowed: use " + join_methods(methods));
  } catch (...) {
    write_refusal(request, response, thrown_error());
  }
  return HandlerResponse::Handled;
}

HandlerResponse Listener::fill_error(const httplib::Request& request, httplib::Response& response) {
  if (!response.body.empty() || response.content_provider_) return HandlerResponse::Unhandled;
  const int status = response.status == 416 ? 400 : response.status;
  if (status == 400 && is_unknown_method(request)) {
    const std::set<std::string> methods = methods_of(request.target.substr(0, request.target.find_first_of("?#")));
    if (!methods.empty()) {
      response.set_header("Allow", join_methods(methods));
      write_refusal(request, response, Error(Code::kUnimplemented, "method not allowed: use " + join_methods(methods)));
      return HandlerResponse::Handled;
    }
  }
  write_refusal(request, response, error_of_status(response.status), status);
  return HandlerResponse::Handled;
}

}  // namespace sf::server
