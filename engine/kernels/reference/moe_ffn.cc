#include "engine/kernels/reference/reference.h"

namespace sf::reference {
namespace {

at::Tensor activate(const FfnWeights& weights, const at::Tensor& up) {  // [..., U] -> [..., F]
  at::Tensor hidden;
  if (weights.activation == FfnActivation::kSwiglu) {
    auto halves = up.chunk(2, -1);
    hidden = at::silu(halves[0]) * halves[1];
  } else {
    hidden = weights.activation == FfnActivation::kGelu ? at::gelu(up) : at::relu(up);
  }
  return weights.hidden_dropout > 0 ? at::dropout(hidden, weights.hidden_dropout, true) : hidden;
}

}  // namespace

at::Tensor grouped_moe_ffn(const FfnWeights& weights, const at::Tensor& x_RD, const at::Tensor& ends_E) {
  const int64_t num_experts = weights.up_EUD.size(0);
  const int64_t* ends = ends_E.const_data_ptr<int64_t>();
  // Taken apart once: the gradient of a stack of views is one stack, that of E selections is E sums over the whole.
  auto each = [&](const at::Tensor& stacked) {
    return stacked.defined() ? stacked.unbind(0) : std::vector<at::Tensor>(num_experts);
  };
  const auto up = each(weights.up_EUD), up_bias = each(weights.up_bias_EU), down = each(weights.down_EDF),
             down_bias = each(weights.down_bias_ED);
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (int64_t e = 0; e < num_experts; begin = ends[e], ++e) {
    if (ends[e] == begin) continue;
    at::Tensor rows = x_RD.narrow(0, begin, ends[e] - begin);
    parts.push_back(at::linear(activate(weights, at::linear(rows, up[e], up_bias[e])), down[e], down_bias[e]));
  }
  return parts.empty() ? at::zeros_like(x_RD) : at::cat(parts, 0);
}

at::Tensor masked_moe_ffn(const FfnWeights& weights, const at::Tensor& x_RD, const at::Tensor& ends_E) {
  const int64_t num_experts = weights.up_EUD.size(0);
  at::Tensor rows = at::arange(x_RD.size(0), ends_E.options());
  at::Tensor below = rows.unsqueeze(0) < ends_E.unsqueeze(1);  // [E, R]: row belongs to expert e or an earlier one
  at::Tensor mine = below.to(x_RD.dtype());
  mine = at::cat({mine.narrow(0, 0, 1), mine.slice(0, 1) - mine.slice(0, 0, num_experts - 1)}, 0);
  auto multiply = [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return bias.defined() ? at::baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
                          : at::bmm(x, weight.transpose(1, 2));
  };
  at::Tensor x = x_RD.unsqueeze(0).expand({num_experts, x_RD.size(0), x_RD.size(1)});
  at::Tensor y = multiply(activate(weights, multiply(x, weights.up_EUD, weights.up_bias_EU)), weights.down_EDF,
                          weights.down_bias_ED);
  return (y * mine.unsqueeze(-1)).sum(0);
}

at::Tensor dense_ffn(const FfnWeights& weights, const at::Tensor& x_TD) {
  auto first = [](const at::Tensor& stacked) { return stacked.defined() ? stacked.select(0, 0) : stacked; };
  return at::linear(activate(weights, at::linear(x_TD, first(weights.up_EUD), first(weights.up_bias_EU))),
                    first(weights.down_EDF), first(weights.down_bias_ED));
}

}  // namespace sf::reference
