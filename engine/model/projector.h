// Vision tokens -> image tokens of the decoder: a two-layer GELU MLP, behind a LayerNorm where projector_norm says so,
// on 2x2 neighbours side by side (pixel shuffle), on every token, or on the class token.
//
//   Projector projector(config);
//   at::Tensor image_BPD = projector.forward(x_BNW, rows, columns);
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

class Projector : public torch::nn::Module {
 public:
  explicit Projector(const ModelConfig& config);
  // The encoder's features x_BNW of a rows x columns grid -> [B, P, D]. Without a shuffle P = N; with it they are the
  // grid's tokens, P = rows*columns / shuffle^2, row-major. REQUIRES: rows and columns are multiples of the shuffle.
  at::Tensor forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns) const;

 private:
  int64_t shuffle_;
  at::Tensor norm_weight_, norm_bias_, fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_;
};

}  // namespace sf
