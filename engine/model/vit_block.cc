#include "engine/model/vit_block.h"

#include <cmath>

#include "engine/model/initial_weights.h"

namespace sf {
namespace {

constexpr double kLayerScale = 1e-5;  // CaiT (arXiv 2103.17239): blocks start as near nothing

}  // namespace

at::Tensor scaled_normal(std::vector<int64_t> shape, double fan_in, double gain) {
  return randn_or_empty(shape) * (gain / std::sqrt(fan_in));
}

VitBlock::VitBlock(const VisionConfig& config) : config_(config) {
  const int64_t w = config.width, m = config.mlp_width;
  const double depth_scale = 1.0 / std::sqrt(2.0 * config.num_layers);
  norm1_weight_ = register_parameter("norm1_weight", torch::ones({w}));
  norm1_bias_ = register_parameter("norm1_bias", torch::zeros({w}));
  qkv_weight_ = register_parameter("qkv_weight", scaled_normal({3 * w, w}, w));
  qkv_bias_ = register_parameter("qkv_bias", torch::zeros({3 * w}));
  out_weight_ = register_parameter("out_weight", scaled_normal({w, w}, w, depth_scale));
  out_bias_ = register_parameter("out_bias", torch::zeros({w}));
  norm2_weight_ = register_parameter("norm2_weight", torch::ones({w}));
  norm2_bias_ = register_parameter("norm2_bias", torch::zeros({w}));
  fc1_weight_ = register_parameter("fc1_weight", scaled_normal({m, w}, w));
  fc1_bias_ = register_parameter("fc1_bias", torch::zeros({m}));
  fc2_weight_ = register_parameter("fc2_weight", scaled_normal({w, m}, m, depth_scale));
  fc2_bias_ = register_parameter("fc2_bias", torch::zeros({w}));
  if (config.relative_bias) {
    const int64_t side = 2 * config.max_side - 1;
    bias_table_ = register_parameter("relative_bias", torch::zeros({config.num_heads, side, side}));
  }
  if (config.layer_scale) {
    scale1_ = register_parameter("scale1", at::full({w}, kLayerScale));
    scale2_ = register_parameter("scale2", at::full({w}, kLayerScale));
  }
}

at::Tensor VitBlock::relative_bias_HNN(int64_t rows, int64_t columns) const {
  const int64_t side = 2 * config_.max_side - 1, centre = config_.max_side - 1;
  auto options = bias_table_.options().dtype(at::kLong);
  at::Tensor r = at::arange(rows, options), c = at::arange(columns, options);
  at::Tensor row_offset = (r.unsqueeze(1) - r.unsqueeze(0) + centre) * side;  // [rows, rows]
  at::Tensor column_offset = c.unsqueeze(1) - c.unsqueeze(0) + centre;        // [columns, columns]
  at::Tensor index = row_offset.view({rows, 1, rows, 1}) + column_offset.view({1, columns, 1, columns});
  const int64_t n = rows * columns;
  at::Tensor bias = bias_table_.flatten(1).index_select(1, index.reshape({n * n})).view({config_.num_heads, n, n});
  return config_.class_token ? at::constant_pad_nd(bias, {1, 0, 1, 0}) : bias;
}

at::Tensor VitBlock::attend(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps) const {
  const int64_t b = x_BNW.size(0), n = x_BNW.size(1), w = config_.width, heads = config_.num_heads;
  at::Tensor qkv = at::linear(x_BNW, qkv_weight_, qkv_bias_).view({b, n, 3, heads, w / heads}).permute({2, 0, 3, 1, 4});
  std::optional<at::Tensor> bias;
  if (config_.relative_bias) bias = relative_bias_HNN(rows, columns).unsqueeze(0).expand({b, heads, n, n});
  at::Tensor q = qkv.select(0, 0), k = qkv.select(0, 1), v = qkv.select(0, 2);
  at::Tensor attended;
  if (maps || (at::GradMode::is_enabled() && config_.relative_bias)) {
    // The fused kernel gives no gradient for its mask, and the table is learned.
    at::Tensor scores = at::matmul(q * (1.0 / std::sqrt(double(w / heads))), k.transpose(-2, -1));
    at::Tensor weights = at::softmax(bias ? scores + *bias : scores, -1);
    if (maps) maps->push_back(weights);
    attended = at::matmul(weights, v);
  } else {
    attended = at::scaled_dot_product_attention(q, k, v, bias);
  }
  return at::linear(attended.transpose(1, 2).reshape({b, n, w}), out_weight_, out_bias_);
}

at::Tensor VitBlock::activate(const at::Tensor& x) const {
  if (config_.activation == VisionActivation::kRelu) return at::relu(x);
  if (config_.activation == VisionActivation::kQuickGelu) return x * at::sigmoid(x * 1.702);
  return at::gelu(x, config_.activation == VisionActivation::kGeluTanh ? "tanh" : "none");
}

at::Tensor VitBlock::forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps) const {
  const int64_t w = config_.width;
  at::Tensor added =
      attend(at::layer_norm(x_BNW, {w}, norm1_weight_, norm1_bias_, config_.norm_eps), rows, columns, maps);
  at::Tensor x = x_BNW + (config_.layer_scale ? added * scale1_ : added);
  at::Tensor h = at::layer_norm(x, {w}, norm2_weight_, norm2_bias_, config_.norm_eps);
  if (config_.residual_after_norm) x = h;
  added = at::linear(activate(at::linear(h, fc1_weight_, fc1_bias_)), fc2_weight_, fc2_bias_);
  return x + (config_.layer_scale ? added * scale2_ : added);
}

}  // namespace sf
