#include "engine/model/router.h"

#include <limits>

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

constexpr float kClosed = -std::numeric_limits<float>::infinity();  // score of an expert that takes no token

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight.to(at::kFloat), bias.defined() ? bias.to(at::kFloat) : bias);
}

}  // namespace

GateRule gate_rule(const MoeConfig& config) {
  return {.top_k = config.top_k,
          .softmax_after = config.router_softmax == RouterSoftmax::kAfter,
          .renormalise = config.renormalise};
}

Routing Router::forward(const at::Tensor& x_TD, const Ops& ops) const {
  Routing routing;
  at::Tensor x = x_TD.to(at::kFloat);
  routing.logits_TE = linear_f32(x, weight_, bias_);
  routing.probs_TE = at::softmax(routing.logits_TE, -1);
  at::Tensor scores = routing.logits_TE;
  if (is_training() && config_.noisy) {
    at::Tensor std = at::softplus(linear_f32(x, noise_weight_, noise_bias_)) + config_.noise_epsilon;
    routing.noise_std_TE = std * config_.noise_scale;
    routing.noisy_TE = scores = scores + at::randn_like(scores) * routing.noise_std_TE;
  }
  if (is_training() && config_.dropout == ExpertDropout::kExpert && config_.dropout_rate > 0) {
    scores = scores.masked_fill(closed_experts(), kClosed);
  }
  const Gates gates = ops.topk_gates(scores, balance_bias_, gate_rule(config_));
  routing.ids_TK = gates.ids_TK;
  routing.gates_TK = gates.gates_TK;
  return routing;
}

at::Tensor Router::closed_experts() const {
  at::Tensor draws = at::rand({config_.num_experts}, weight_.options().dtype(at::kFloat));
  at::Tensor largest = std::get<0>(draws.topk(config_.top_k));
  return (draws < config_.dropout_rate).logical_and(draws < largest[-1]);
}

void update_balance_bias(const at::Tensor& balance_bias_E, const at::Tensor& counts_E, double rate) {
  torch::NoGradGuard no_grad;
  at::Tensor counts = counts_E.to(balance_bias_E.options());
  balance_bias_E.add_(at::sign(counts.mean() - counts), rate);
}

}  // namespace sf
