#include "server/grpc/explain_messages.h"

#include "server/grpc/answer_messages.h"

namespace sf::server {
namespace {

namespace wire = sparsefusion::v1;

wire::HeatmapMethod wire_method(HeatmapMethod method) {
  switch (method) {
    case HeatmapMethod::kAttention:
      return wire::HEATMAP_METHOD_ATTENTION;
    case HeatmapMethod::kRollout:
      return wire::HEATMAP_METHOD_ROLLOUT;
    case HeatmapMethod::kRelevancy:
      return wire::HEATMAP_METHOD_RELEVANCY;
    case HeatmapMethod::kOcclusion:
      break;
  }
  return wire::HEATMAP_METHOD_OCCLUSION;
}

void fill_experts(const Explanation& e, wire::ExpertMap& experts) {
  experts.set_num_experts(e.num_experts);
  experts.set_top_k(e.top_k);
  experts.set_prompt_tokens(e.num_prompt_tokens);
  for (const TokenRouting& token : e.routing) {
    wire::TokenExperts* out = experts.add_tokens();
    out->set_text(token.text);
    out->set_image(token.image);
    for (size_t layer = 0; layer < token.ids.size(); ++layer) {
      wire::LayerExperts* of_layer = out->add_layers();
      of_layer->mutable_ids()->Assign(token.ids[layer].begin(), token.ids[layer].end());
      of_layer->mutable_gates()->Assign(token.gates[layer].begin(), token.gates[layer].end());
    }
  }
}

}  // namespace

AnswerFields explain_fields_from(wire::ExplainRequest& message) {
  AnswerFields fields = answer_fields_from(*message.mutable_question());
  switch (message.method()) {
    case wire::HEATMAP_METHOD_UNSPECIFIED:
      break;
    case wire::HEATMAP_METHOD_ATTENTION:
      fields.explain.method = "attention";
      break;
    case wire::HEATMAP_METHOD_ROLLOUT:
      fields.explain.method = "rollout";
      break;
    case wire::HEATMAP_METHOD_RELEVANCY:
      fields.explain.method = "relevancy";
      break;
    case wire::HEATMAP_METHOD_OCCLUSION:
      fields.explain.method = "occlusion";
      break;
    default:
      throw invalid_argument("method", "method: unknown value ", message.method());
  }
  if (message.has_layer()) fields.explain.layer = message.layer();
  if (message.has_head()) fields.explain.head = message.head();
  if (message.has_lens_top()) fields.explain.lens_top = message.lens_top();
  if (message.has_token()) fields.explain.token = message.token();
  if (message.picture()) fields.explain.format = "png";
  return fields;
}

wire::ExplainResponse explain_message(const std::string& id, const ExplainResult& result) {
  const Explanation& e = result.explanation;
  wire::ExplainResponse message;
  message.set_id(id);
  message.set_answer(e.answer);
  message.set_model(result.model);
  message.set_model_version(result.model_version);
  message.mutable_image()->set_width(e.image.width);
  message.mutable_image()->set_height(e.image.height);
  message.mutable_image()->set_rows(e.rows);
  message.mutable_image()->set_columns(e.columns);
  message.set_method(wire_method(e.method));
  for (const ExplainedToken& token : e.tokens) {
    wire::ExplainedToken* out = message.add_tokens();
    out->set_text(token.text);
    out->set_id(token.id);
    out->set_logprob(token.logprob);
    out->mutable_heatmap()->Assign(token.heatmap.begin(), token.heatmap.end());
  }
  fill_experts(e, *message.mutable_experts());
  for (const LensLayer& lens : e.logit_lens) {
    wire::LensLayer* out = message.add_logit_lens();
    out->set_answer_token(lens.answer_token);
    out->set_layer(lens.layer);
    out->set_answer_rank(lens.answer_rank);
    for (const LensLayer::Guess& guess : lens.top) {
      wire::LensLayer::Guess* to = out->add_top();
      to->set_token(guess.token);
      to->set_prob(guess.prob);
    }
  }
  message.set_png(result.png);
  return message;
}

}  // namespace sf::server
