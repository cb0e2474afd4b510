// One pre-LayerNorm transformer block of the vision encoder, bidirectional.
//
//   VitBlock block(config.vision);
//   VitMaps maps;   // without it attention is fused
//   at::Tensor y_BNW = block.forward(x_BNW, rows, columns, &maps);
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

// Where set, forward() computes attention eagerly and leaves its maps here, [B, H, N, N] for each block.
using VitMaps = std::vector<at::Tensor>;

class VitBlock : public torch::nn::Module {
 public:
  explicit VitBlock(const VisionConfig& config);
  // x_BNW -> the same shape. N == rows*columns, or one more where the class token stands before them; the bias is
  // looked up by the offset of two tokens and is 0 towards the class token.
  at::Tensor forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps = nullptr) const;

 private:
  at::Tensor attend(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps) const;
  at::Tensor relative_bias_HNN(int64_t rows, int64_t columns) const;
  at::Tensor activate(const at::Tensor& x) const;

  VisionConfig config_;
  at::Tensor norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
  at::Tensor qkv_weight_, qkv_bias_, out_weight_, out_bias_;
  at::Tensor fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_;
  at::Tensor bias_table_;       // [H, 2*max_side-1, 2*max_side-1]
  at::Tensor scale1_, scale2_;  // [W], of attention and of the MLP
};

// Normal weights whose products with `fan_in` inputs of variance 1 have variance gain^2.
at::Tensor scaled_normal(std::vector<int64_t> shape, double fan_in, double gain = 1.0);

}  // namespace sf
