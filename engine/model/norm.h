// The decoder's norms, statistics in f32: RMSNorm with a learned scale (Zhang and Sennrich 2019, arXiv 1910.07467), or
// LayerNorm with scale and bias (Ba 2016, arXiv 1607.06450).
//
//   Norm norm(NormKind::kRms, 96, 1e-6);
//   at::Tensor y_TD = norm.forward(x_TD);
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <torch/torch.h>

#include "engine/model/config_enums.h"

namespace sf {

class Norm : public torch::nn::Module {
 public:
  Norm(NormKind kind, int64_t width, double eps);
  // x [..., width] -> the same shape.
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;  // bias_ undefined for kRms
  double eps_;
};

}  // namespace sf
