// The bodies of POST .../infer and of POST .../generate (Triton's extension) as inference requests.
//
//   HttpInfer http = read_infer_body(body, binary, limits);   // throws Error naming the tensor or parameter
//
// Thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "server/kserve/infer_request.h"
#include "server/wire/limits.h"

namespace sf::server {

struct HttpInfer {
  InferRequest request;
  bool binary_output = false;  // ANSWER goes back after the JSON
};

// `binary`: what followed the JSON, which are the inputs with `binary_data_size`, in order. In JSON an IMAGE is base64
// text or a data URI, in binary the encoded image itself. Errors: InvalidArgument; ResourceExhausted/kTooLarge for a
// image above the limit.
HttpInfer read_infer_body(const nlohmann::json& body, std::string_view binary, const RequestLimits& limits);

// {"IMAGE": base64, "QUESTION": text, "id"?, "parameters"?: {...}}; other names are parameters too, as in Triton.
// Either may be a list: a batch.
InferRequest read_generate_body(const nlohmann::json& body, const RequestLimits& limits);

}  // namespace sf::server
