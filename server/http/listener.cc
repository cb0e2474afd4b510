#include "server/http/listener.h"

#include <algorithm>
#include <cctype>

#include "server/http/access.h"
#include "server/http/http_call.h"
#include "server/http/http_errors.h"
#include "server/wire/inflater.h"
#include "server/wire/reject_reason.h"
#include "server/wire/request_id.h"
#include "server/wire/thrown_error.h"

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

// "/v1/models" -> {"v1", "models"}; "/" -> {""}.
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

// One answer as httplib writes it, in one string.
std::string written_out(const httplib::Response& response) {
  std::string text = concat("HTTP/1.1 ", response.status, " ", httplib::status_message(response.status), "\r\n");
  for (const auto& [name, value] : response.headers) text += concat(name, ": ", value, "\r\n");
  return concat(text, "Content-Length: ", response.body.size(), "\r\n\r\n", response.body);
}

// What httplib's callbacks have to know of the request that their thread serves.
struct Served {
  RequestStream& stream;
  const RequestHead& head;
  bool keep = false;                            // its connection
  ContentCoding coding = ContentCoding::kNone;  // of its body
};
thread_local Served* served = nullptr;

// What Content-Encoding says, which is then hidden from the library: it would inflate the body without an end in sight
// and take one that is cut off for whole.
ContentCoding take_content_coding(httplib::Headers& headers) {
  const auto [begin, end] = headers.equal_range("Content-Encoding");
  std::string value;
  for (auto header = begin; header != end; ++header) value += (header == begin ? "" : ", ") + header->second;
  headers.erase("Content-Encoding");
  return content_coding(value);
}

// Reads a compressed body as what it inflates to, to `max_bytes` and not much further.
httplib::ContentReader inflating_reader(const httplib::ContentReader& reader, ContentCoding coding, size_t max_bytes) {
  const auto read = [&reader, coding, max_bytes](const httplib::ContentReceiver& receive) {
    Inflater inflater(coding);
    size_t num_bytes = 0;
    const bool whole = reader([&](const char* data, size_t size) {
      return inflater.feed({data, size}, [&](std::string_view piece) {
        num_bytes += piece.size();
        return receive(piece.data(), piece.size()) && num_bytes <= max_bytes;
      });
    });
    if (whole) inflater.finish();
    return whole;
  };
  return httplib::ContentReader(read, [](const httplib::FormDataHeader&, const httplib::ContentReceiver&) -> bool {
    throw Error(Code::kInvalidArgument, "Content-Encoding: a form must not be compressed", "Content-Encoding",
                Reason::kUnsupportedType);
  });
}

}  // namespace

std::string join_methods(const std::set<std::string>& methods) {
  std::string joined;
  for (const std::string& method : methods) joined += (joined.empty() ? "" : ", ") + method;
  return joined;
}

// httplib without its sockets and threads.
class Listener::Library final : public httplib::Server {
 public:
  // While this is not so, httplib takes the server for one that is closing and ends its streams.
  void set_open(bool open) { svr_sock_ = open ? 0 : INVALID_SOCKET; }
  // Effect: reads one request and writes its answer. False: the connection is of no further use.
  bool process(RequestStream& stream, const PeerAddress& peer, bool closing) {
    bool closed = false;
    const bool written =
        serve_guarded([&] { return process_request(stream, peer.ip, peer.port, "", 0, closing, closed, nullptr); });
    return written && !closed;
  }
};

namespace {

LoopOptions loop_options(const ListenerOptions& options) {
  LoopOptions loop{.host = options.host, .port = options.port, .num_workers = options.num_threads};
  loop.max_connections = options.max_connections;
  loop.max_connections_of_peer = std::max<size_t>(1, options.max_connections / 2);
  loop.max_waiting = std::max<size_t>(1, options.max_connections / 4);
  loop.head_timeout = std::chrono::seconds(options.head_timeout_s);
  loop.idle_timeout = std::chrono::seconds(options.idle_timeout_s);
  loop.max_discarded_bytes = options.max_body_bytes * kDiscardFactor;
  loop.stream.read_timeout = std::chrono::seconds(options.read_timeout_s);
  loop.stream.rates.window = std::chrono::seconds(options.write_timeout_s);
  loop.certificate = options.certificate;
  return loop;
}

}  // namespace

Listener::Listener(ListenerOptions options, Service& service)
    : options_(std::move(options)),
      service_(service),
      server_(std::make_unique<Library>()),
      loop_(loop_options(options_), *this) {
  server_->set_payload_max_length(options_.max_body_bytes * kDiscardFactor + 1);
  server_->set_default_headers({{"X-Content-Type-Options", "nosniff"}});
  server_->set_pre_routing_handler(
      [this](const auto& request, auto& response) { return before_routing(request, response); });
  server_->set_error_handler(
      [this](const httplib::Request& request, httplib::Response& response) { return fill_error(request, response); });
  server_->set_post_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    if (!response.has_header("X-Request-Id")) response.set_header("X-Request-Id", request_id_of(request));
    finish_head(response);
  });
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
  server_->Post(path, [this, handler = std::move(handler)](const httplib::Request& request, httplib::Response& response,
                                                           const httplib::ContentReader& reader) {
    if (served->coding == ContentCoding::kNone) return handler(request, response, reader);
    handler(request, response, inflating_reader(reader, served->coding, options_.max_body_bytes));
  });
}

void Listener::add_methods(const std::string& path, const std::set<std::string>& methods) {
  routes_.push_back({path, split_path(path), methods});
}

void Listener::start() {
  server_->set_open(true);
  loop_.start();
}

void Listener::drain() {
  draining_ = true;
  loop_.drain();
}

void Listener::stop() {
  stopping_ = true;
  server_->set_open(false);
  loop_.stop();
}

bool Listener::is_urgent(const RequestHead& head) const {
  return options_.is_urgent && (head.method == "GET" || head.method == "HEAD") && options_.is_urgent(head.path());
}

bool Listener::serve(RequestStream& stream, const Connection& connection, const RequestHead& head) {
  Served this_one{stream, head};
  served = &this_one;
  const bool good = server_->process(stream, connection.peer(), draining_);
  served = nullptr;
  return good && this_one.keep;
}

std::string Listener::busy_answer(const Connection& connection, const RequestHead& head) const {
  httplib::Request request;
  request.method = head.method;
  request.remote_addr = connection.peer().ip;
  request.path = head.path();
  request.headers.emplace("X-Request-Id", head.request_id);
  httplib::Response response;
  write_refusal(request, response,
                Error(Code::kResourceExhausted, "too many requests are waiting for a thread", "", Reason::kQueueFull));
  response.set_header("Connection", "close");
  response.set_header("X-Content-Type-Options", "nosniff");
  return written_out(response);
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
  served->coding = take_content_coding(const_cast<httplib::Headers&>(request.headers));
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
  // The request is the library's own object, const for handlers only.
  httplib::Request& mine = const_cast<httplib::Request&>(request);
  // Half an answer helps no client, and the library would cut one up: a server may ignore Range (RFC 9110, 14.2).
  mine.ranges.clear();
  mine.path = collapse_slashes(request.path);
  mine.is_connection_closed = [&stream = served->stream] { return !stream.is_peer_alive(); };
  const RequestHead& head = served->head;
  RequestOrigin origin{.method = head.fault.empty() ? request.method : head.method,
                       .route = route_of(request),
                       .path = "",
                       .client_address = request.remote_addr,
                       .key_name = caller_of(options_.keys, request)};
  if (origin.route.empty()) origin.path = request.path;
  note_origin(response, std::move(origin));
  if (answer_cors(request, response)) {
    log_call(service_, begin_call(api_label(options_, request), request, response), response);
    return HandlerResponse::Handled;
  }
  try {
    if (!head.fault.empty()) throw invalid_argument(head.fault_field, head.fault);
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
    const std::set<std::string> methods = methods_of(served->head.path());
    if (!methods.empty()) {
      response.set_header("Allow", join_methods(methods));
      write_refusal(request, response, Error(Code::kUnimplemented, "method not allowed: use " + join_methods(methods)));
      return HandlerResponse::Handled;
    }
  }
  write_refusal(request, response, error_of_status(response.status), status);
  return HandlerResponse::Handled;
}

void Listener::finish_head(httplib::Response& response) const {
  const auto [begin, end] = response.headers.equal_range("Connection");
  const bool says_close = std::any_of(begin, end, [](const auto& header) { return header.second == "close"; });
  const bool streams_in_chunks = response.is_chunked_content_provider_;
  const bool is_old = served->head.is_http_1_0;
  const bool keep = !says_close && served->head.asks_to_keep && !draining_ && !(is_old && streams_in_chunks);
  response.headers.erase("Connection");
  response.headers.erase("Keep-Alive");
  if (!keep) response.set_header("Connection", "close");
  if (keep && is_old) response.set_header("Connection", "keep-alive");
  if (keep) response.set_header("Keep-Alive", concat("timeout=", options_.idle_timeout_s));
  if (is_old && streams_in_chunks) {  // it knows no chunks: its answer ends with the connection
    response.is_chunked_content_provider_ = false;
    response.headers.erase("Transfer-Encoding");
  }
  served->keep = keep;
  const bool has_events = response.get_header_value("Content-Type").starts_with("text/event-stream");
  served->stream.set_probe(!has_events ? "" : is_old ? ":\n\n" : "3\r\n:\n\n\r\n");
}

}  // namespace sf::server
