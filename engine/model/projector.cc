#include "engine/model/projector.h"

#include "engine/model/initial_weights.h"

namespace sf {

Projector::Projector(const ModelConfig& config) : shuffle_(projector_shuffle(config.projector)) {
  const int64_t in = config.vision.width * shuffle_ * shuffle_, d = config.decoder.width;
  const int64_t hidden = config.projector_hidden > 0 ? config.projector_hidden : 2 * d;
  if (config.projector_norm) {
    norm_weight_ = register_parameter("norm_weight", torch::ones({in}));
    norm_bias_ = register_parameter("norm_bias", torch::zeros({in}));
  }
  fc1_weight_ = register_parameter("fc1_weight", randn_or_empty({hidden, in}) / std::sqrt(double(in)));
  fc1_bias_ = register_parameter("fc1_bias", torch::zeros({hidden}));
  fc2_weight_ = register_parameter("fc2_weight", randn_or_empty({d, hidden}) / std::sqrt(double(hidden)));
  fc2_bias_ = register_parameter("fc2_bias", torch::zeros({d}));
}

at::Tensor Projector::forward(const at::Tensor& x_BNW, int64_t rows, int64_t columns) const {
  at::Tensor x = x_BNW;
  if (shuffle_ > 1) {
    const int64_t b = x_BNW.size(0), w = x_BNW.size(2), s = shuffle_;
    x = x_BNW.reshape({b, rows / s, s, columns / s, s, w}).permute({0, 1, 3, 2, 4, 5});
    x = x.reshape({b, rows * columns / (s * s), s * s * w});
  }
  if (norm_weight_.defined()) x = at::layer_norm(x, {x.size(2)}, norm_weight_, norm_bias_);
  return at::linear(at::gelu(at::linear(x, fc1_weight_, fc1_bias_)), fc2_weight_, fc2_bias_);
}

}  // namespace sf
