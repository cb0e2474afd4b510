#include "engine/model/projector.h"

namespace sf {

Projector::Projector(const ModelConfig& config) : shuffle_(config.projector == "shuffle2" ? 2 : 1) {
  const int64_t in = config.vision.width * shuffle_ * shuffle_, d = config.decoder.width;
  norm_weight_ = register_parameter("norm_weight", torch::ones({in}));
  norm_bias_ = register_parameter("norm_bias", torch::zeros({in}));
  fc1_weight_ = register_parameter("fc1_weight", torch::randn({2 * d, in}) / std::sqrt(double(in)));
  fc1_bias_ = register_parameter("fc1_bias", torch::zeros({2 * d}));
  fc2_weight_ = register_parameter("fc2_weight", torch::randn({d, 2 * d}) / std::sqrt(double(2 * d)));
  fc2_bias_ = register_parameter("fc2_bias", torch::zeros({d}));
}

at::Tensor Projector::forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns) const {
  const int64_t b = x_BNW.size(0), w = x_BNW.size(2), s = shuffle_;
  at::Tensor x = x_BNW.view({b, rows / s, s, columns / s, s, w}).permute({0, 1, 3, 2, 4, 5});
  x = x.reshape({b, rows * columns / (s * s), s * s * w});
  x = at::layer_norm(x, {x.size(2)}, norm_weight_, norm_bias_);
  return at::linear(at::gelu(at::linear(x, fc1_weight_, fc1_bias_)), fc2_weight_, fc2_bias_);
}

}  // namespace sf
