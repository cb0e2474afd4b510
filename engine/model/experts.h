// E SwiGLU feed-forward networks over rows sorted by expert.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/dispatch.h"

namespace sf {

class Experts : public torch::nn::Module {
 public:
  explicit Experts(const DecoderConfig& config);
  // x_RD sorted by expert, d.ends_E its bounds -> [R, D]: w2(silu(w1 x) * w3 x).
  // On a CPU the bounds are read and each expert multiplies its own rows; elsewhere every expert multiplies every row and
  // a mask picks, which keeps shapes static and needs no host synchronisation.
  at::Tensor forward(const at::Tensor& x_RD, const Dispatch& d) const;

  // The two ways, each right on any device; forward() takes the faster one.
  at::Tensor forward_grouped(const at::Tensor& x_RD, const at::Tensor& ends_E) const;
  at::Tensor forward_masked(const at::Tensor& x_RD, const at::Tensor& ends_E) const;

 private:
  int64_t num_experts_;
  at::Tensor gate_up_;  // [E, 2F, D]: w1 over w3
  at::Tensor down_;     // [E, D, F]
};

}  // namespace sf
