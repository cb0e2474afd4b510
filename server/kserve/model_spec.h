// What the server looks like to a client of the Open Inference Protocol v2 (KServe, Triton): one checkpoint under two
// names, both with the tensors IMAGE BYTES[1] and QUESTION BYTES[1] in and ANSWER BYTES[1] out. `<model>` answers each
// request once; `<model>_stream` is decoupled: any number of responses, one a delta.
//
//   const ServedModel model = find_served_model(service, "sparsefusion_stream", "");   // version: any
//
// Thread-safe.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "server/service/service.h"

namespace sf::server {

inline constexpr const char* kImageTensor = "IMAGE";        // an encoded PNG, JPEG or WebP
inline constexpr const char* kQuestionTensor = "QUESTION";  // UTF-8
inline constexpr const char* kAnswerTensor = "ANSWER";      // UTF-8
inline constexpr const char* kBytesDatatype = "BYTES";
inline constexpr const char* kInferServerName = "sparsefusion";
inline constexpr const char* kInferPlatform = "sparsefusion";
inline constexpr const char* kStreamSuffix = "_stream";

// The protocol's extensions that are here. perf_analyzer reads the statistics only if they are announced.
inline constexpr std::array kInferExtensions = {"binary_tensor_data", "generate",   "model_configuration",
                                                "model_repository",   "parameters", "schedule_policy",
                                                "statistics"};

struct ServedModel {
  std::string name;  // as this protocol's clients call it
  bool decoupled = false;
  ModelDescription model;  // model.id is the service's name
  std::string version() const { return std::to_string(model.version); }
};

// Both names of every model; empty while nothing is published.
std::vector<ServedModel> served_models(const Service& service);

// Errors: Unavailable while nothing is published; NotFound for another name, and for a `version` that is not the one
// served ("" = any).
ServedModel find_served_model(const Service& service, std::string_view name, std::string_view version);

// The error of a name that is neither of the two.
Error unknown_model(const std::string& name, const std::string& stream);

// The error of a version that is not served (any more).
Error unknown_version(std::string_view version, int64_t served);

}  // namespace sf::server
