// The vision encoder: a convolutional stem with coordinate channels (Xiao 2021, arXiv 2106.14881), then pre-LayerNorm
// transformer blocks with a learned relative position bias per head (Swin's table, over the whole picture).
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

// Where the picture lies inside its padded pixel grid, in pixels; coordinates run -1..1 over it.
struct PictureBox {
  int left = 0, top = 0, width = 0, height = 0;
};

// Where set, forward() computes attention eagerly and leaves its maps here, [B, H, N, N] for each block.
using VitMaps = std::vector<at::Tensor>;

class VitBlock : public torch::nn::Module {
 public:
  explicit VitBlock(const VisionConfig& config);
  // x_BNW -> the same shape. rows*columns == N; the bias is looked up by the offset of two tokens.
  at::Tensor forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps = nullptr) const;

 private:
  at::Tensor relative_bias_HNN(int64_t rows, int64_t columns) const;

  VisionConfig config_;
  at::Tensor norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
  at::Tensor qkv_weight_, qkv_bias_, out_weight_, out_bias_;
  at::Tensor fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_;
  at::Tensor bias_table_;  // [H, 2*max_side-1, 2*max_side-1]
};

class Vit : public torch::nn::Module {
 public:
  explicit Vit(const VisionConfig& config);
  // pixels [B, 3, rows*token_size, columns*token_size], normalised; one box per picture -> x_BNW, N = rows*columns,
  // row-major, after the final LayerNorm.
  at::Tensor forward(const at::Tensor& pixels, const std::vector<PictureBox>& boxes, VitMaps* maps = nullptr) const;

 private:
  at::Tensor stem(const at::Tensor& pixels, const std::vector<PictureBox>& boxes) const;

  VisionConfig config_;
  std::vector<at::Tensor> conv_weights_, conv_biases_, group_weights_, group_biases_;
  at::Tensor embed_weight_, embed_bias_;  // the closing 1x1 projection
  at::Tensor row_embedding_, column_embedding_;  // [max_side, W]
  std::vector<std::shared_ptr<VitBlock>> blocks_;
  at::Tensor norm_weight_, norm_bias_;
};

}  // namespace sf
