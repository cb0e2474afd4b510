// The vision encoder's stem: pixels -> one vector per token.
#include "engine/base/error.h"
#include "engine/model/vit.h"

namespace sf {
namespace {

// x and y of every pixel, -1..1 over each image's box: [B, 2, height, width].
at::Tensor coordinate_channels(const at::Tensor& pixels, const std::vector<ImageBox>& boxes) {
  const int64_t batch = pixels.size(0), height = pixels.size(2), width = pixels.size(3);
  at::Tensor geometry = torch::empty({batch, 4}, at::kFloat);
  auto rows = geometry.accessor<float, 2>();
  for (int64_t b = 0; b < batch; ++b) {
    const ImageBox& box = boxes[b];
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

void Vit::make_stem() {
  std::vector<int> strides = config_.stem_strides, channels = config_.stem_channels;
  int64_t inputs = config_.coordinates ? 5 : 3;
  if (config_.stem == StemKind::kLinear) {
    const int64_t side = config_.token_size;
    conv_weights_.push_back(
        register_parameter("stem_weight0", scaled_normal({config_.width, inputs, side, side}, inputs * side * side)));
    if (config_.stem_bias) conv_biases_.push_back(register_parameter("stem_bias0", torch::zeros({config_.width})));
    return;
  }
  if (config_.stem == StemKind::kPatch) {
    strides = {config_.token_size};
    channels.clear();
  }
  channels.push_back(config_.width);
  for (size_t i = 0; i < strides.size(); ++i) {
    const int64_t kernel = config_.stem == StemKind::kPatch ? strides[i] : strides[i] + 1 + strides[i] % 2;
    const std::string suffix = std::to_string(i);
    conv_weights_.push_back(register_parameter(
        "stem_weight" + suffix, scaled_normal({channels[i], inputs, kernel, kernel}, inputs * kernel * kernel, 1.4)));
    conv_biases_.push_back(register_parameter("stem_bias" + suffix, torch::zeros({channels[i]})));
    group_weights_.push_back(register_parameter("stem_norm_weight" + suffix, torch::ones({channels[i]})));
    group_biases_.push_back(register_parameter("stem_norm_bias" + suffix, torch::zeros({channels[i]})));
    inputs = channels[i];
  }
  embed_weight_ = register_parameter("embed_weight", scaled_normal({config_.width, inputs}, inputs));
  embed_bias_ = register_parameter("embed_bias", torch::zeros({config_.width}));
}

at::Tensor Vit::stem(const at::Tensor& pixels, const std::vector<ImageBox>& boxes) const {
  SF_CHECK(static_cast<int64_t>(boxes.size()) == pixels.size(0), "vit: one box per picture");
  at::Tensor x = pixels;
  if (config_.coordinates) x = at::cat({pixels, coordinate_channels(pixels, boxes)}, 1);
  if (config_.stem == StemKind::kLinear) {
    std::optional<at::Tensor> bias;
    if (config_.stem_bias) bias = conv_biases_[0];
    return at::conv2d(x, conv_weights_[0], bias, at::IntArrayRef{config_.token_size, config_.token_size})
        .flatten(2)
        .transpose(1, 2);
  }
  for (size_t i = 0; i < conv_weights_.size(); ++i) {
    const int64_t kernel = conv_weights_[i].size(2);
    const int64_t stride = config_.stem == StemKind::kPatch ? kernel : config_.stem_strides[i];
    const int64_t padding = (kernel - stride + 1) / 2;
    x = at::conv2d(x, conv_weights_[i], conv_biases_[i], at::IntArrayRef{stride, stride},
                   at::IntArrayRef{padding, padding});
    x = at::gelu(at::group_norm(x, kStemGroups, group_weights_[i], group_biases_[i]), "tanh");
  }
  return at::linear(x.flatten(2).transpose(1, 2), embed_weight_, embed_bias_);
}

}  // namespace sf
