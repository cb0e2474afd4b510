// The vision encoder: a stem that turns pixels into tokens, positions, pre-LayerNorm transformer blocks. By default a
// convolutional stem with coordinate channels (Xiao 2021, arXiv 2106.14881) and a learned relative position bias per
// head (Swin's table, over the whole image); with other switches the encoders of timm (ViT) and CLIP (docs/model.md).
//
//   at::Tensor x_BNW = vit.encode(pixels, boxes);   // every token
//   at::Tensor features = vit.features(x_BNW);      // those that the projector is given
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"
#include "engine/model/vit_block.h"

namespace sf {

// Where the image lies in its pixel grid, in pixels; coordinates run -1..1 over it. A cropped image is larger than
// the grid and begins before it.
struct ImageBox {
  int left = 0, top = 0, width = 0, height = 0;
};

class Vit : public torch::nn::Module {
 public:
  explicit Vit(const VisionConfig& config);
  // pixels [B, 3, rows*token_size, columns*token_size], normalised; one box per image -> x_BNW after the final
  // LayerNorm where there is one: the class token where there is one, then rows*columns tokens, row-major. `deepstack`,
  // where set, is filled with what leaves each block of vision.deepstack_layers, shaped the same.
  at::Tensor encode(const at::Tensor& pixels, const std::vector<ImageBox>& boxes, VitMaps* maps = nullptr,
                    std::vector<at::Tensor>* deepstack = nullptr) const;
  // What leaves the encoder as vision.features says, of encode()'s tokens.
  at::Tensor features(const at::Tensor& x_BNW) const;
  // The tokens that lie on the image, of encode()'s.
  at::Tensor patches(const at::Tensor& x_BNW) const;
  at::Tensor forward(const at::Tensor& pixels, const std::vector<ImageBox>& boxes, VitMaps* maps = nullptr) const {
    return features(encode(pixels, boxes, maps));
  }

 private:
  // vit_stem.cc
  void make_stem();
  at::Tensor stem(const at::Tensor& pixels, const std::vector<ImageBox>& boxes) const;  // x_BNW of the patches
  // vit_positions.cc
  void make_positions();
  at::Tensor patch_positions(int64_t rows, int64_t columns) const;  // [rows*columns, W]

  VisionConfig config_;
  std::vector<at::Tensor> conv_weights_, conv_biases_, group_weights_, group_biases_;
  at::Tensor embed_weight_, embed_bias_;         // the closing 1x1 projection
  at::Tensor class_token_;                       // [W]
  at::Tensor row_embedding_, column_embedding_;  // "axes": [max_side, W]
  at::Tensor position_embedding_;                // "table": [(1 +) position_rows*position_columns, W]
  std::vector<std::shared_ptr<VitBlock>> blocks_;
  at::Tensor pre_norm_weight_, pre_norm_bias_, norm_weight_, norm_bias_;
};

}  // namespace sf
