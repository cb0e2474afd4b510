#include "engine/model/experts.h"

namespace sf {
namespace {

at::Tensor swiglu(const at::Tensor& gate_up) {
  auto halves = gate_up.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace

Experts::Experts(const DecoderConfig& config) : num_experts_(config.moe.num_experts) {
  const int64_t d = config.width, f = config.moe.hidden;
  gate_up_ = register_parameter("gate_up", torch::randn({num_experts_, 2 * f, d}) / std::sqrt(double(d)));
  down_ = register_parameter("down", torch::randn({num_experts_, d, f}) / std::sqrt(double(f)) / std::sqrt(2.0 * config.num_layers));
}

at::Tensor Experts::forward(const at::Tensor& x_RD, const Dispatch& d) const {
  return x_RD.is_cpu() ? forward_grouped(x_RD, d.ends_E) : forward_masked(x_RD, d.ends_E);
}

at::Tensor Experts::forward_grouped(const at::Tensor& x_RD, const at::Tensor& ends_E) const {
  const int64_t* ends = ends_E.const_data_ptr<int64_t>();
  auto gate_up = gate_up_.unbind(0), down = down_.unbind(0);
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (int64_t e = 0; e < num_experts_; begin = ends[e], ++e) {
    if (ends[e] == begin) continue;
    at::Tensor rows = x_RD.narrow(0, begin, ends[e] - begin);
    parts.push_back(at::linear(swiglu(at::linear(rows, gate_up[e])), down[e]));
  }
  return parts.empty() ? at::zeros_like(x_RD) : at::cat(parts, 0);
}

at::Tensor Experts::forward_masked(const at::Tensor& x_RD, const at::Tensor& ends_E) const {
  at::Tensor rows = at::arange(x_RD.size(0), ends_E.options());
  at::Tensor below = rows.unsqueeze(0) < ends_E.unsqueeze(1);  // [E, R]: row belongs to expert e or an earlier one
  at::Tensor mine = below.to(x_RD.dtype());
  mine = at::cat({mine.narrow(0, 0, 1), mine.slice(0, 1) - mine.slice(0, 0, num_experts_ - 1)}, 0);
  at::Tensor x = x_RD.unsqueeze(0).expand({num_experts_, x_RD.size(0), x_RD.size(1)});
  at::Tensor y = at::bmm(swiglu(at::bmm(x, gate_up_.transpose(1, 2))), down_.transpose(1, 2));
  return (y * mine.unsqueeze(-1)).sum(0);
}

}  // namespace sf
