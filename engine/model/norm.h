// RMSNorm with a learned scale (Zhang and Sennrich 2019). Statistics in f32.
#pragma once

#include <torch/torch.h>

namespace sf {

class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(int64_t width, double eps);
  // x [..., width] -> the same shape.
  at::Tensor forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_;
  double eps_;
};

}  // namespace sf
