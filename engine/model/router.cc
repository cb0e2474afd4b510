#include "engine/model/router.h"

namespace sf {

Router::Router(const DecoderConfig& config) : config_(config.moe) {
  weight_ = register_parameter("weight", torch::zeros({config.moe.num_experts, config.width}));
  if (config.moe.noisy) {
    noise_weight_ = register_parameter("noise_weight", torch::zeros({config.moe.num_experts, config.width}));
  }
}

Routing Router::forward(const at::Tensor& x_TD) const {
  Routing routing;
  at::Tensor x = x_TD.to(at::kFloat);
  routing.logits_TE = at::linear(x, weight_.to(at::kFloat));
  routing.probs_TE = at::softmax(routing.logits_TE, -1);
  at::Tensor scores = routing.logits_TE;
  if (is_training() && config_.noisy) {
    at::Tensor std = at::softplus(at::linear(x, noise_weight_.to(at::kFloat))) + config_.noise_epsilon;
    scores = scores + at::randn_like(scores) * (std * config_.noise_scale);
  }
  // A stable sort, because topk leaves the order of ties open.
  auto [sorted, order] = at::sort(scores, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  routing.ids_TK = order.narrow(-1, 0, config_.top_k);
  if (config_.router_softmax == "after") {
    routing.gates_TK = at::softmax(sorted.narrow(-1, 0, config_.top_k), -1);
  } else {
    routing.gates_TK = at::softmax(scores, -1).gather(-1, routing.ids_TK);
  }
  return routing;
}

at::Tensor balance_loss(const Routing& routing) {
  const int64_t experts = routing.probs_TE.size(1);
  at::Tensor counts = at::one_hot(routing.ids_TK.flatten(), experts).to(at::kFloat).mean(0);
  return (counts * routing.probs_TE.mean(0)).sum() * static_cast<double>(experts);
}

at::Tensor router_z_loss(const Routing& routing) { return at::logsumexp(routing.logits_TE, {-1}).square().mean(); }

}  // namespace sf
