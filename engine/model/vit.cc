#include "engine/model/vit.h"

#include "engine/base/error.h"

namespace sf {
namespace {

at::Tensor scaled_normal(std::vector<int64_t> shape, double fan_in, double gain = 1.0) {
  return torch::randn(shape) * (gain / std::sqrt(fan_in));
}

// x and y of every pixel, -1..1 over each picture's box: [B, 2, height, width].
at::Tensor coordinate_channels(const at::Tensor& pixels, const std::vector<PictureBox>& boxes) {
  const int64_t batch = pixels.size(0), height = pixels.size(2), width = pixels.size(3);
  SF_CHECK(static_cast<int64_t>(boxes.size()) == batch, "vit: one box per picture");
  at::Tensor geometry = torch::empty({batch, 4}, at::kFloat);
  auto rows = geometry.accessor<float, 2>();
  for (int64_t b = 0; b < batch; ++b) {
    const PictureBox& box = boxes[b];
    rows[b][0] = 2.0f / std::max(box.width, 1);
    rows[b][1] = -(2.0f * box.left - 1.0f) / std::max(box.width, 1) - 1.0f;
    rows[b][2] = 2.0f / std::max(box.height, 1);
    rows[b][3] = -(2.0f * box.top - 1.0f) / std::max(box.height, 1) - 1.0f;
  }
  geometry = geometry.to(pixels.device());
  at::Tensor xs = at::arange(width, pixels.options()).view({1, width});
  at::Tensor ys = at::arange(height, pixels.options()).view({1, height});
  at::Tensor x = xs * geometry.select(1, 0).unsqueeze(1) + geometry.select(1, 1).unsqueeze(1);
  at::Tensor y = ys * geometry.select(1, 2).unsqueeze(1) + geometry.select(1, 3).unsqueeze(1);
  return at::stack({x.unsqueeze(1).expand({batch, height, width}), y.unsqueeze(2).expand({batch, height, width})}, 1);
}

}  // namespace

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
}

at::Tensor VitBlock::relative_bias_HNN(int64_t rows, int64_t columns) const {
  const int64_t side = 2 * config_.max_side - 1, centre = config_.max_side - 1;
  auto options = bias_table_.options().dtype(at::kLong);
  at::Tensor r = at::arange(rows, options), c = at::arange(columns, options);
  at::Tensor row_offset = (r.unsqueeze(1) - r.unsqueeze(0) + centre) * side;  // [rows, rows]
  at::Tensor column_offset = c.unsqueeze(1) - c.unsqueeze(0) + centre;        // [columns, columns]
  at::Tensor index = row_offset.view({rows, 1, rows, 1}) + column_offset.view({1, columns, 1, columns});
  const int64_t n = rows * columns;
  return bias_table_.flatten(1).index_select(1, index.reshape({n * n})).view({config_.num_heads, n, n});
}

at::Tensor VitBlock::forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns, VitMaps* maps) const {
  const int64_t b = x_BNW.size(0), n = x_BNW.size(1), w = config_.width, heads = config_.num_heads;
  at::Tensor h = at::layer_norm(x_BNW, {w}, norm1_weight_, norm1_bias_, config_.norm_eps);
  at::Tensor qkv = at::linear(h, qkv_weight_, qkv_bias_).view({b, n, 3, heads, w / heads}).permute({2, 0, 3, 1, 4});
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
  at::Tensor x = x_BNW + at::linear(attended.transpose(1, 2).reshape({b, n, w}), out_weight_, out_bias_);
  h = at::layer_norm(x, {w}, norm2_weight_, norm2_bias_, config_.norm_eps);
  return x + at::linear(at::gelu(at::linear(h, fc1_weight_, fc1_bias_)), fc2_weight_, fc2_bias_);
}

Vit::Vit(const VisionConfig& config) : config_(config) {
  std::vector<int> strides = config.stem_strides, channels = config.stem_channels;
  if (config.stem == "patch") {
    strides = {config.token_size};
    channels.clear();
  }
  channels.push_back(config.width);
  int64_t inputs = config.coordinates ? 5 : 3;
  for (size_t i = 0; i < strides.size(); ++i) {
    const int64_t kernel = config.stem == "patch" ? strides[i] : strides[i] + 1 + strides[i] % 2;
    const std::string suffix = std::to_string(i);
    conv_weights_.push_back(register_parameter(
        "stem_weight" + suffix, scaled_normal({channels[i], inputs, kernel, kernel}, inputs * kernel * kernel, 1.4)));
    conv_biases_.push_back(register_parameter("stem_bias" + suffix, torch::zeros({channels[i]})));
    group_weights_.push_back(register_parameter("stem_norm_weight" + suffix, torch::ones({channels[i]})));
    group_biases_.push_back(register_parameter("stem_norm_bias" + suffix, torch::zeros({channels[i]})));
    inputs = channels[i];
  }
  embed_weight_ = register_parameter("embed_weight", scaled_normal({config.width, inputs}, inputs));
  embed_bias_ = register_parameter("embed_bias", torch::zeros({config.width}));
  row_embedding_ = register_parameter("row_embedding", torch::randn({config.max_side, config.width}) * 0.02);
  column_embedding_ = register_parameter("column_embedding", torch::randn({config.max_side, config.width}) * 0.02);
  for (int i = 0; i < config.num_layers; ++i) {
    blocks_.push_back(register_module("block" + std::to_string(i), std::make_shared<VitBlock>(config)));
  }
  norm_weight_ = register_parameter("norm_weight", torch::ones({config.width}));
  norm_bias_ = register_parameter("norm_bias", torch::zeros({config.width}));
}

at::Tensor Vit::stem(const at::Tensor& pixels, const std::vector<PictureBox>& boxes) const {
  at::Tensor x = pixels;
  if (config_.coordinates) x = at::cat({pixels, coordinate_channels(pixels, boxes)}, 1);
  for (size_t i = 0; i < conv_weights_.size(); ++i) {
    const int64_t kernel = conv_weights_[i].size(2);
    const int64_t stride = config_.stem == "patch" ? kernel : config_.stem_strides[i];
    x = at::conv2d(x, conv_weights_[i], conv_biases_[i], {stride, stride}, at::IntArrayRef{(kernel - stride + 1) / 2, (kernel - stride + 1) / 2});
    x = at::gelu(at::group_norm(x, kStemGroups, group_weights_[i], group_biases_[i]), "tanh");
  }
  return x;
}

at::Tensor Vit::forward(const at::Tensor& pixels, const std::vector<PictureBox>& boxes, VitMaps* maps) const {
  at::Tensor features = stem(pixels, boxes);
  const int64_t rows = features.size(2), columns = features.size(3);
  SF_CHECK(rows <= config_.max_side && columns <= config_.max_side, "vit: grid ", rows, "x", columns, " exceeds max_side");
  at::Tensor x = at::linear(features.flatten(2).transpose(1, 2), embed_weight_, embed_bias_);
  at::Tensor positions = row_embedding_.narrow(0, 0, rows).unsqueeze(1) + column_embedding_.narrow(0, 0, columns).unsqueeze(0);
  x = x + positions.reshape({1, rows * columns, config_.width});
  for (const auto& block : blocks_) x = block->forward(x, rows, columns, maps);
  return at::layer_norm(x, {config_.width}, norm_weight_, norm_bias_, config_.norm_eps);
}

}  // namespace sf
