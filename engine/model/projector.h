// Vision tokens -> image tokens of the decoder: 2x2 neighbours side by side (pixel shuffle), LayerNorm, two-layer GELU MLP.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

class Projector : public torch::nn::Module {
 public:
  explicit Projector(const ModelConfig& config);
  // x_BNW of a rows x columns grid -> [B, P, D], P = rows*columns / shuffle^2, row-major.
  // REQUIRES: rows and columns are multiples of shuffle().
  at::Tensor forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns) const;
  int64_t shuffle() const { return shuffle_; }

 private:
  int64_t shuffle_;
  at::Tensor norm_weight_, norm_bias_, fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_;
};

}  // namespace sf
