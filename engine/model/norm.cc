#include "engine/model/norm.h"

namespace sf {

RmsNorm::RmsNorm(int64_t width, double eps) : eps_(eps) {
  weight_ = register_parameter("weight", torch::ones({width}));
}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  return at::rms_norm(x, weight_.sizes(), weight_, eps_);
}

}  // namespace sf
