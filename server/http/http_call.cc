#include "server/http/http_call.h"

#include "server/http/http_errors.h"
#include "server/wire/reject_reason.h"
#include "server/wire/request_id.h"

namespace sf::server {
namespace {

// Where a request's origin lies beside its response.
constexpr const char* kOriginNote = "sf.origin";

void record(Service& service, const HttpCall& call, int status, int64_t model_version, const Summary* summary,
            const std::string& field) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service.record_finished(call.api, std::to_string(status), {call.id, call.trace, call.origin, field}, model_version,
                          summary, elapsed.count());
}

}  // namespace

TraceContext trace_of(const httplib::Request& request) {
  if (request.get_header_value_count("traceparent") != 1) return {};
  return continue_trace(request.get_header_value("traceparent"));
}

void note_origin(httplib::Response& response, RequestOrigin origin) {
  response.user_data.set(kOriginNote, std::move(origin));
}

RequestOrigin origin_of(const httplib::Request& request, const httplib::Response& response) {
  if (const auto* noted = response.user_data.get<RequestOrigin>(kOriginNote)) return *noted;
  return {.method = request.method,
          .route = "",
          .path = request.path,
          .client_address = request.remote_addr,
          .key_name = ""};
}

HttpCall begin_call(const std::string& api, const httplib::Request& request, httplib::Response& response) {
  HttpCall call{api, choose_request_id(request.get_header_value("X-Request-Id")), trace_of(request),
                origin_of(request, response)};
  response.set_header("X-Request-Id", call.id);
  return call;
}

double spent_s(const HttpCall& call) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - call.start).count();
}

void record_call(Service& service, const HttpCall& call, int status, int64_t model_version, const Summary* summary) {
  record(service, call, status, model_version, summary, "");
}

void log_call(Service& service, const HttpCall& call, const httplib::Response& response) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service.log_request({.request_id = call.id,
                       .api = call.api,
                       // The library fills in the 200 of a handler that named no status.
                       .code = std::to_string(response.status > 0 ? response.status : 200),
                       .duration_s = elapsed.count(),
                       .trace = call.trace,
                       .origin = call.origin});
}

void fail_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
               const Error& error, int64_t model_version) {
  write_error(response, request, error, call.id, service.retry_after_seconds());
  record(service, call, response.status, model_version, nullptr, error.field());
}

void refuse_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
                 const Error& error) {
  write_error(response, request, error, call.id, service.retry_after_seconds());
  service.record_rejected(call.api, std::to_string(response.status), reject_reason(error),
                          {call.id, call.trace, call.origin, error.field()});
}

std::string served_model(const Service& service, const std::string& asked) {
  if (!asked.empty()) return asked;
  const std::vector<ModelDescription> models = service.models();
  return models.empty() ? "" : models.front().id;
}

Error client_gone() { return Error(Code::kCancelled, "the client closed the connection"); }
Error shutting_down() { return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining); }

}  // namespace sf::server
