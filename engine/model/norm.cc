#include "engine/model/norm.h"

namespace sf {

Norm::Norm(NormKind kind, int64_t width, double eps) : eps_(eps) {
  weight_ = register_parameter("weight", torch::ones({width}));
  if (kind == NormKind::kLayer) bias_ = register_parameter("bias", torch::zeros({width}));
}

at::Tensor Norm::forward(const at::Tensor& x) const {
  if (bias_.defined()) return at::layer_norm(x, weight_.sizes(), weight_, bias_, eps_);
  return at::rms_norm(x, weight_.sizes(), weight_, eps_);
}

}  // namespace sf
