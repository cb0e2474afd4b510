// What a frontend read of an explain request, and the one place where it becomes the service's request: ranges,
// defaults and error texts are the same on REST and gRPC.
//
//   ExplainRequest request = make_explain_request(std::move(fields), request_id, "rest");
//
// Thread-safe: free functions.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "server/service/answer_fields.h"

namespace sf::server {

// Thread-safe. Errors: InvalidArgument naming the field that is missing, out of range or without meaning here. That the
// model has such a layer or head is the engine's to say.
inline ExplainRequest make_explain_request(AnswerFields fields, std::string request_id, std::string api) {
  const auto integer = [](const std::optional<int64_t>& given, const char* name, int low, int high, int absent) {
    if (!given) return absent;
    if (*given < low || *given > high) {
      throw invalid_argument(name, name, ": must be between ", low, " and ", high, ", got ", *given);
    }
    return static_cast<int>(*given);
  };
  if (!fields.image || fields.image->empty()) throw invalid_argument("image", "image: missing or empty");
  if (fields.stream) throw invalid_argument("stream", "stream: an explanation comes whole");
  if (!fields.stop.empty()) throw invalid_argument("stop", "stop: not offered for explanations");
  if (fields.choices) throw invalid_argument("choices", "choices: not offered for explanations");
  if (fields.record_routing || fields.replay_routing) {
    throw invalid_argument("routing", "routing: not offered for explanations");
  }
  ExplainRequest request;
  ExplainOptions& options = request.options;
  const ExplainFields& given = fields.explain;
  if (given.method) options.method = parse_heatmap_method(*given.method);
  options.layer = integer(given.layer, "layer", -1, 1 << 16, -1);
  options.head = integer(given.head, "head", -1, 1 << 16, -1);
  options.lens_top = integer(given.lens_top, "lens_top", 0, kMaxLensTop, options.lens_top);
  options.max_tokens = integer(fields.max_tokens, "max_tokens", 1, kMaxExplainedTokens, options.max_tokens);
  const std::string format = given.format.value_or("json");
  if (format != "json" && format != "png")
    throw invalid_argument("format", "format: must be json or png, got ", format);
  request.image = format == "png";
  request.image_token = integer(given.token, "token", -1, kMaxExplainedTokens - 1, -1);
  request.question = make_answer_request(std::move(fields), std::move(request_id), std::move(api));
  return request;
}

// Errors: InvalidArgument for what only an explain request has: it would have no effect on an answer.
inline void refuse_explain_fields(const ExplainFields& fields) {
  const std::pair<const char*, bool> given[] = {
      {"method", fields.method.has_value()}, {"format", fields.format.has_value()},
      {"layer", fields.layer.has_value()},   {"head", fields.head.has_value()},
      {"token", fields.token.has_value()},   {"lens_top", fields.lens_top.has_value()}};
  for (const auto& [name, is_given] : given) {
    if (is_given) throw invalid_argument(name, name, ": only POST /v1/explain has it");
  }
}

// The explanation that goes with an answer to `fields`, with the defaults of an explain request; it covers the answer's
// first tokens. Errors: as above.
inline ExplainRequest make_answer_explanation(AnswerFields fields, std::string request_id, std::string api) {
  fields.record_routing = false;  // of the answer alone
  const int64_t most = ExplainOptions{}.max_tokens;
  if (fields.max_tokens) fields.max_tokens = std::min(most, int64_t{check_max_tokens(*fields.max_tokens)});
  if (fields.logits.min_tokens) fields.logits.min_tokens = std::min(most, *fields.logits.min_tokens);
  return make_explain_request(std::move(fields), std::move(request_id), std::move(api));
}

}  // namespace sf::server
