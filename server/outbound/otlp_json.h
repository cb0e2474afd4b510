// What traces and metrics have in common in OTLP's JSON, and how a request is called in OpenTelemetry's semantic
// conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/ and .../http/
//
//   json attributes = {attribute("gen_ai.operation.name", gen_ai_operation("/v1/chat/completions"))};
//
// Thread-safe: values and free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace sf::server {

inline constexpr const char* kGenAiProvider = "sparsefusion";

// Who reports.
struct OtlpSource {
  std::string name, version;  // service.name, service.version
  std::string instance;       // service.instance.id: this process; left out if empty
  std::string model;          // --model-name: gen_ai.request.model and gen_ai.response.model; left out if empty
};

nlohmann::json attribute(const char* key, const std::string& value);
nlohmann::json attribute(const char* key, int64_t value);
// An array of strings with one element.
nlohmann::json attribute_list(const char* key, const std::string& value);

// {"attributes": [service.name, ...]}
nlohmann::json resource_json(const OtlpSource& source);

// gen_ai.operation.name: chat, text_completion or generate_content (an image and a question).
std::string gen_ai_operation(const std::string& route);

// Whether `code` (an HTTP status or gRPC's name of a code) is an answer.
bool is_success(const std::string& code);
// Whether it is the server's fault: a client's mistake leaves a server span's status unset.
bool is_our_fault(const std::string& code);

// gRPC's number of a code's name; 2 (UNKNOWN) for one that is none.
int grpc_code_number(const std::string& name);

}  // namespace sf::server
