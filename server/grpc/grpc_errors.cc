#include "server/grpc/grpc_errors.h"

#include "sparsefusion/rpc/status.pb.h"

namespace sf::server {
namespace {

void add_detail(sparsefusion::rpc::Status& status, const char* google_name, const google::protobuf::Message& detail) {
  google::protobuf::Any* any = status.add_details();
  any->set_type_url(std::string("type.googleapis.com/google.rpc.") + google_name);
  any->set_value(detail.SerializeAsString());
}

bool asks_to_retry(const Error& error) {
  return error.code() == Code::kUnavailable ||
         (error.code() == Code::kResourceExhausted && error.reason() != Reason::kTooLarge);
}

// A status line is UTF-8; messages may quote what a client sent.
std::string printable(const std::string& text) {
  std::string result = text.substr(0, 1024);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  }
  return result;
}

}  // namespace

grpc::StatusCode status_code(const Error& error) {
  const bool field_not_offered = error.code() == Code::kUnimplemented && !error.field().empty();
  if (field_not_offered || error.code() == Code::kOutOfRange) return grpc::INVALID_ARGUMENT;
  return static_cast<grpc::StatusCode>(error.code());
}

grpc::Status grpc_status(const Error& error, const std::string& request_id, int retry_after_s) {
  const grpc::StatusCode code = status_code(error);
  const bool internal = code == grpc::INTERNAL || code == grpc::UNKNOWN || code == grpc::DATA_LOSS;
  const std::string message = internal ? "internal error; request " + request_id : printable(error.what());

  sparsefusion::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  if (!error.field().empty() && !internal) {
    sparsefusion::rpc::BadRequest bad_request;
    auto* violation = bad_request.add_field_violations();
    violation->set_field(printable(error.field()));
    violation->set_description(message);
    add_detail(status, "BadRequest", bad_request);
  }
  if (asks_to_retry(error)) {
    sparsefusion::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(retry_after_s);
    add_detail(status, "RetryInfo", retry);
  }
  return grpc::Status(code, message, status.details().empty() ? "" : status.SerializeAsString());
}

const char* grpc_code_name(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? kNames[code] : "UNKNOWN";
}

}  // namespace sf::server
