#include "server/http/answer_json.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/explain/explanation_json.h"
#include "server/wire/base64.h"
#include "server/wire/routing_wire.h"

namespace sf::server {
namespace {

// Keys stay in the order in which the documentation lists them.
using json = nlohmann::ordered_json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// Microseconds are as fine as the clock is worth.
double rounded_ms(double ms) { return std::round(ms * 1000) / 1000; }

json head_json(const AnswerHead& head) {
  return {{"id", head.id}, {"model", head.model}, {"model_version", head.model_version}};
}

json describe(const ModelDescription& model) {
  const ModelInfo& info = model.info;
  return {{"id", model.id},
          {"object", "model"},
          {"created", info.created_unix},
          {"owned_by", "sparsefusion"},
          {"version", model.version},
          {"step", info.step},
          {"digest", info.digest},
          {"image_size", info.image_size},
          {"max_context", info.max_context},
          {"image_tokens", info.max_image_tokens},
          {"num_layers", info.num_layers},
          {"num_experts", info.num_experts},
          {"top_k", info.top_k},
          {"num_parameters", info.num_parameters},
          {"num_active_parameters", info.num_active_parameters},
          {"device", info.device}};
}

}  // namespace

std::string answer_json(const AnswerHead& head, const std::string& text, const Summary& summary,
                        const ExplainResult* explanation) {
  const Usage& usage = summary.usage;
  const Timings& timings = summary.timings;
  json body = {{"id", head.id}, {"answer", text}, {"model", head.model}, {"model_version", head.model_version}};
  body["finish_reason"] = summary.finish_reason == FinishReason::kStop ? "stop" : "length";
  body["usage"] = {{"image_tokens", usage.image_tokens},
                   {"prompt_tokens", usage.prompt_tokens},
                   {"completion_tokens", usage.completion_tokens},
                   {"cached_tokens", usage.cached_tokens}};
  body["moe"] = {{"assigned_tokens", summary.assigned_tokens}, {"overflow_tokens", summary.overflow_tokens}};
  body["timings"] = {{"queue_ms", rounded_ms(timings.queue_ms)},
                     {"image_ms", rounded_ms(timings.image_ms)},
                     {"prefill_ms", rounded_ms(timings.prefill_ms)},
                     {"decode_ms", rounded_ms(timings.decode_ms)},
                     {"total_ms", rounded_ms(timings.total_ms)}};
  for (const ChoiceProbability& choice : summary.choices) {
    body["choices"].push_back({{"text", choice.text}, {"probability", choice.probability}});
  }
  if (explanation != nullptr) {
    body["explain"] = explanation_json(explanation->explanation,
                                       head_json({head.id, explanation->model, explanation->model_version}));
  }
  if (summary.routing) {
    body["routing"] = {{"layers", summary.routing->num_layers},
                       {"top_k", summary.routing->top_k},
                       {"tokens", summary.routing->num_tokens()},
                       {"ids", encode_base64(routing_id_bytes(*summary.routing))},
                       {"gates", encode_base64(routing_gate_bytes(*summary.routing))}};
  }
  return dump(body);
}

std::string explain_json(const AnswerHead& head, const Explanation& explanation) {
  return dump(explanation_json(explanation, head_json(head)));
}

std::string delta_json(const AnswerHead& head, const std::string& delta) {
  json body = head_json(head);
  body["delta"] = delta;
  return dump(body);
}

std::string version_json(const std::string& program_version) { return dump({{"version", program_version}}); }

std::string model_json(const ModelDescription& model) { return dump(describe(model)); }

std::string model_list_json(const std::vector<ModelDescription>& models) {
  json data = json::array();
  for (const ModelDescription& model : models) data.push_back(describe(model));
  return dump({{"object", "list"}, {"data", data}});
}

}  // namespace sf::server
