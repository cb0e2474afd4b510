#include "server/http/http_call.h"

#include "server/guard/reject_reason.h"
#include "server/guard/request_id.h"
#include "server/http/http_errors.h"

namespace sf::server {

TraceContext trace_of(const httplib::Request& request) {
  if (request.get_header_value_count("traceparent") != 1) return {};
  return continue_trace(request.get_header_value("traceparent"));
}

HttpCall begin_call(const std::string& api, const httplib::Request& request, httplib::Response& response) {
  HttpCall call{api, choose_request_id(request.get_header_value("X-Request-Id")), trace_of(request)};
  response.set_header("X-Request-Id", call.id);
  return call;
}

void record_call(Service& service, const HttpCall& call, int status, int64_t model_version, const Summary* summary) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - call.start;
  service.record_finished(call.api, std::to_string(status), {call.id, call.trace}, model_version, summary,
                          elapsed.count());
}

void fail_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
               const Error& error, int64_t model_version) {
  write_error(response, request, error, call.id, service.retry_after_seconds());
  record_call(service, call, response.status, model_version, nullptr);
}

void refuse_call(Service& service, const HttpCall& call, const httplib::Request& request, httplib::Response& response,
                 const Error& error) {
  write_error(response, request, error, call.id, service.retry_after_seconds());
  service.record_rejected(call.api, std::to_string(response.status), reject_reason(error), {call.id, call.trace});
}

std::string served_model(const Service& service, const std::string& asked) {
  if (!asked.empty()) return asked;
  const std::vector<ModelDescription> models = service.models();
  return models.empty() ? "" : models.front().id;
}

Error client_gone() { return Error(Code::kCancelled, "the client closed the connection"); }
Error shutting_down() { return Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining); }

}  // namespace sf::server
