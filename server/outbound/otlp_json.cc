#include "server/outbound/otlp_json.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace sf::server {
namespace {

using nlohmann::json;

bool is_http_status(const std::string& code) { return code.size() == 3 && code[0] >= '1' && code[0] <= '5'; }

}  // namespace

json attribute(const char* key, const std::string& value) {
  return {{"key", key}, {"value", {{"stringValue", value}}}};
}

// OTLP's JSON writes integers of 64 bits as strings.
json attribute(const char* key, int64_t value) {
  return {{"key", key}, {"value", {{"intValue", std::to_string(value)}}}};
}

json attribute_list(const char* key, const std::string& value) {
  const json values = json::array({{{"stringValue", value}}});
  return {{"key", key}, {"value", {{"arrayValue", {{"values", values}}}}}};
}

json resource_json(const OtlpSource& source) {
  json attributes = {attribute("service.name", source.name), attribute("service.version", source.version)};
  if (!source.instance.empty()) attributes.push_back(attribute("service.instance.id", source.instance));
  return {{"attributes", std::move(attributes)}};
}

std::string gen_ai_operation(const std::string& route) {
  if (route == "/v1/chat/completions" || route == "/v1/responses") return "chat";
  if (route == "/v1/completions") return "text_completion";
  return "generate_content";
}

bool is_success(const std::string& code) { return is_http_status(code) ? code[0] <= '3' : code == "OK"; }

bool is_our_fault(const std::string& code) {
  static const std::set<std::string> kCodes = {"INTERNAL",    "UNKNOWN",           "DATA_LOSS",
                                               "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"};
  return is_http_status(code) ? code[0] == '5' : kCodes.contains(code);
}

int grpc_code_number(const std::string& name) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto found = std::find(std::begin(kNames), std::end(kNames), name);
  return found == std::end(kNames) ? 2 : static_cast<int>(found - std::begin(kNames));
}

}  // namespace sf::server
