#include "engine/model/experts.h"

#include "engine/model/initial_weights.h"

namespace sf {
namespace {

FfnActivation ffn_activation(ExpertActivation activation) {
  if (activation == ExpertActivation::kSwiglu) return FfnActivation::kSwiglu;
  return activation == ExpertActivation::kGelu ? FfnActivation::kGelu : FfnActivation::kRelu;
}

}  // namespace

Experts::Experts(const DecoderConfig& config, int64_t num_experts, int64_t hidden)
    : activation_(ffn_activation(config.moe.activation)),
      hidden_dropout_(config.moe.dropout == ExpertDropout::kHidden ? config.moe.dropout_rate : 0) {
  const bool gated = activation_ == FfnActivation::kSwiglu;
  const int64_t d = config.width, up = gated ? 2 * hidden : hidden;
  const std::string up_name = gated ? "gate_up" : "up";
  up_ = register_parameter(up_name, randn_or_empty({num_experts, up, d}) / std::sqrt(double(d)));
  down_ = register_parameter("down", randn_or_empty({num_experts, d, hidden}) / std::sqrt(double(hidden)) /
                                         std::sqrt(2.0 * config.num_layers));
  if (config.moe.expert_bias) {
    up_bias_ = register_parameter(up_name + "_bias", torch::zeros({num_experts, up}));
    down_bias_ = register_parameter("down_bias", torch::zeros({num_experts, d}));
  }
}

FfnWeights Experts::weights() const {
  return {.up_EUD = up_,
          .up_bias_EU = up_bias_,
          .down_EDF = down_,
          .down_bias_ED = down_bias_,
          .activation = activation_,
          .hidden_dropout = is_training() ? hidden_dropout_ : 0};
}

at::Tensor Experts::forward(const at::Tensor& x_RD, const at::Tensor& ends_E, const Ops& ops) const {
  return ops.moe_ffn(weights(), x_RD, ends_E);
}

at::Tensor Experts::forward_first(const at::Tensor& x_TD, const Ops& ops) const {
  return ops.dense_ffn(weights(), x_TD);
}

}  // namespace sf
