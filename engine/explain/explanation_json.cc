#include "engine/explain/explanation_json.h"

#include <utility>

namespace sf {
namespace {

using Json = nlohmann::ordered_json;

Json experts_json(const Explanation& e) {
  Json tokens = Json::array();
  for (const TokenRouting& token : e.routing) {
    tokens.push_back({{"text", token.text},
                      {"modality", token.image ? "image" : "text"},
                      {"ids", token.ids},
                      {"gates", token.gates}});
  }
  return {
      {"num_experts", e.num_experts}, {"top_k", e.top_k}, {"prompt_tokens", e.num_prompt_tokens}, {"tokens", tokens}};
}

Json lens_json(const Explanation& e) {
  Json layers = Json::array();
  for (const LensLayer& layer : e.logit_lens) {
    Json top = Json::array();
    for (const LensLayer::Guess& guess : layer.top) top.push_back({{"token", guess.token}, {"prob", guess.prob}});
    layers.push_back({{"answer_token", layer.answer_token},
                      {"layer", layer.layer},
                      {"top", top},
                      {"answer_rank", layer.answer_rank}});
  }
  return layers;
}

}  // namespace

Json explanation_json(const Explanation& e, Json head) {
  Json out = std::move(head);
  out["answer"] = e.answer;
  out["image"] = {{"width", e.image.width}, {"height", e.image.height}, {"grid", {e.rows, e.columns}}};
  out["method"] = heatmap_method_name(e.method);
  Json tokens = Json::array();
  for (const ExplainedToken& token : e.tokens) {
    tokens.push_back({{"text", token.text}, {"id", token.id}, {"logprob", token.logprob}, {"heatmap", token.heatmap}});
  }
  out["tokens"] = tokens;
  out["experts"] = experts_json(e);
  out["logit_lens"] = lens_json(e);
  return out;
}

}  // namespace sf
