#include "engine/model/vit.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"
#include "engine/model/initial_weights.h"

namespace sf {

Vit::Vit(const VisionConfig& config) : config_(config) {
  const int64_t w = config.width;
  make_stem();
  make_positions();
  if (config.class_token) class_token_ = register_parameter("class_token", randn_or_empty({w}) * 0.02);
  if (config.pre_norm) {
    pre_norm_weight_ = register_parameter("pre_norm_weight", torch::ones({w}));
    pre_norm_bias_ = register_parameter("pre_norm_bias", torch::zeros({w}));
  }
  for (int i = 0; i < config.num_layers; ++i) {
    blocks_.push_back(register_module("block" + std::to_string(i), std::make_shared<VitBlock>(config)));
  }
  if (config.final_norm) {
    norm_weight_ = register_parameter("norm_weight", torch::ones({w}));
    norm_bias_ = register_parameter("norm_bias", torch::zeros({w}));
  }
}

at::Tensor Vit::encode(const at::Tensor& pixels, const std::vector<ImageBox>& boxes, VitMaps* maps,
                       std::vector<at::Tensor>* deepstack) const {
  const int64_t b = pixels.size(0), w = config_.width, size = config_.token_size;
  const int64_t rows = pixels.size(2) / size, columns = pixels.size(3) / size;
  SF_CHECK(rows <= config_.max_side && columns <= config_.max_side, "vit: grid ", rows, "x", columns,
           " exceeds max_side");
  at::Tensor x = stem(pixels, boxes) + patch_positions(rows, columns);
  if (config_.class_token) {
    at::Tensor first = class_token_;
    if (position_embedding_.defined()) first = first + position_embedding_.select(0, 0);
    x = at::cat({first.view({1, 1, w}).expand({b, 1, w}), x}, 1);
  }
  if (config_.pre_norm) x = at::layer_norm(x, {w}, pre_norm_weight_, pre_norm_bias_, config_.norm_eps);
  const std::vector<int>& taken = config_.deepstack_layers;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    yield_to_requests();
    x = blocks_[i]->forward(x, rows, columns, maps);
    if (deepstack && std::find(taken.begin(), taken.end(), static_cast<int>(i)) != taken.end()) deepstack->push_back(x);
  }
  return config_.final_norm ? at::layer_norm(x, {w}, norm_weight_, norm_bias_, config_.norm_eps) : x;
}

at::Tensor Vit::features(const at::Tensor& x_BNW) const {
  if (config_.features == VisionFeatures::kAll) return x_BNW;
  return config_.features == VisionFeatures::kClass ? x_BNW.narrow(1, 0, 1) : patches(x_BNW);
}

at::Tensor Vit::patches(const at::Tensor& x_BNW) const { return config_.class_token ? x_BNW.slice(1, 1) : x_BNW; }

}  // namespace sf
