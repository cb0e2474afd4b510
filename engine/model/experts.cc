#include "engine/model/experts.h"

#include "engine/model/initial_weights.h"

namespace sf {

Experts::Experts(const DecoderConfig& config, int64_t num_experts, int64_t hidden)
    : num_experts_(num_experts),
      activation_(config.moe.activation),
      hidden_dropout_(config.moe.dropout == ExpertDropout::kHidden ? config.moe.dropout_rate : 0) {
  const bool gated = activation_ == ExpertActivation::kSwiglu;
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

at::Tensor Experts::activate(const at::Tensor& up) const {
  at::Tensor hidden;
  if (activation_ == ExpertActivation::kSwiglu) {
    auto halves = up.chunk(2, -1);
    hidden = at::silu(halves[0]) * halves[1];
  } else {
    hidden = activation_ == ExpertActivation::kGelu ? at::gelu(up) : at::relu(up);
  }
  return is_training() && hidden_dropout_ > 0 ? at::dropout(hidden, hidden_dropout_, true) : hidden;
}

at::Tensor Experts::forward(const at::Tensor& x_RD, const Dispatch& d) const {
  return x_RD.is_cpu() ? forward_grouped(x_RD, d.ends_E) : forward_masked(x_RD, d.ends_E);
}

at::Tensor Experts::forward_first(const at::Tensor& x_TD) const {
  auto first = [](const at::Tensor& stacked) { return stacked.defined() ? stacked.select(0, 0) : stacked; };
  return at::linear(activate(at::linear(x_TD, first(up_), first(up_bias_))), first(down_), first(down_bias_));
}

at::Tensor Experts::forward_grouped(const at::Tensor& x_RD, const at::Tensor& ends_E) const {
  const int64_t* ends = ends_E.const_data_ptr<int64_t>();
  // Taken apart once: the gradient of a stack of views is one stack, that of E selections is E sums over the whole.
  auto each = [this](const at::Tensor& stacked) {
    return stacked.defined() ? stacked.unbind(0) : std::vector<at::Tensor>(num_experts_);
  };
  const auto up = each(up_), up_bias = each(up_bias_), down = each(down_), down_bias = each(down_bias_);
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (int64_t e = 0; e < num_experts_; begin = ends[e], ++e) {
    if (ends[e] == begin) continue;
    at::Tensor rows = x_RD.narrow(0, begin, ends[e] - begin);
    parts.push_back(at::linear(activate(at::linear(rows, up[e], up_bias[e])), down[e], down_bias[e]));
  }
  return parts.empty() ? at::zeros_like(x_RD) : at::cat(parts, 0);
}

at::Tensor Experts::forward_masked(const at::Tensor& x_RD, const at::Tensor& ends_E) const {
  at::Tensor rows = at::arange(x_RD.size(0), ends_E.options());
  at::Tensor below = rows.unsqueeze(0) < ends_E.unsqueeze(1);  // [E, R]: row belongs to expert e or an earlier one
  at::Tensor mine = below.to(x_RD.dtype());
  mine = at::cat({mine.narrow(0, 0, 1), mine.slice(0, 1) - mine.slice(0, 0, num_experts_ - 1)}, 0);
  auto multiply = [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return bias.defined() ? at::baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
                          : at::bmm(x, weight.transpose(1, 2));
  };
  at::Tensor x = x_RD.unsqueeze(0).expand({num_experts_, x_RD.size(0), x_RD.size(1)});
  at::Tensor y = multiply(activate(multiply(x, up_, up_bias_)), down_, down_bias_);
  return (y * mine.unsqueeze(-1)).sum(0);
}

}  // namespace sf
