#include "engine/model/router.h"

namespace sf {

Router::Router(const DecoderConfig& config) : config_(config.moe) {
  weight_ = register_parameter("weight", torch::zeros({config.moe.num_experts, config.width}));
  if (config.moe.router_bias) bias_ = register_parameter("bias", torch::zeros({config.moe.num_experts}));
  if (config.moe.noisy) {
    noise_weight_ = register_parameter("noise_weight", torch::zeros({config.moe.num_experts, config.width}));
    if (config.moe.router_bias) noise_bias_ = register_parameter("noise_bias", torch::zeros({config.moe.num_experts}));
  }
  if (config.moe.bias_balancing) {
    balance_bias_ = register_parameter("balance_bias", torch::zeros({config.moe.num_experts}), /*requires_grad=*/false);
  }
}

namespace {

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight.to(at::kFloat), bias.defined() ? bias.to(at::kFloat) : bias);
}

}  // namespace

Routing Router::forward(const at::Tensor& x_TD) const {
  Routing routing;
  at::Tensor x = x_TD.to(at::kFloat);
  routing.logits_TE = linear_f32(x, weight_, bias_);
  routing.probs_TE = at::softmax(routing.logits_TE, -1);
  at::Tensor scores = routing.logits_TE;
  if (is_training() && config_.noisy) {
    at::Tensor std = at::softplus(linear_f32(x, noise_weight_, noise_bias_)) + config_.noise_epsilon;
    scores = scores + at::randn_like(scores) * (std * config_.noise_scale);
  }
  // A stable sort, because topk leaves the order of ties open.
  auto [sorted, order] = at::sort(scores, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  routing.ids_TK = order.narrow(-1, 0, config_.top_k);
  if (config_.router_softmax == "after") {
    routing.gates_TK = at::softmax(sorted.narrow(-1, 0, config_.top_k), -1);
  } else {
    routing.gates_TK = at::softmax(scores, -1).gather(-1, routing.ids_TK);
    if (config_.renormalise) routing.gates_TK = routing.gates_TK / routing.gates_TK.sum(-1, true);
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
