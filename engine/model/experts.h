// E feed-forward networks over rows sorted by expert, and a single one over all tokens (the shared expert).
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/dispatch.h"

namespace sf {

class Experts : public torch::nn::Module {
 public:
  Experts(const DecoderConfig& config, int64_t num_experts, int64_t hidden);
  // x_RD sorted by expert, d.ends_E its bounds -> [R, D]: "swiglu" w2(silu(w1 x) * w3 x), "gelu" and "relu" w2 act(w1
  // x), with a bias after either matrix if the configuration says so. In training the Switch dropout acts on the hidden
  // layer. On a CPU the bounds are read and each expert multiplies its own rows; elsewhere every expert multiplies
  // every row and a mask picks, which keeps shapes static and needs no host synchronisation.
  at::Tensor forward(const at::Tensor& x_RD, const Dispatch& d) const;
  // Every row through expert 0.
  at::Tensor forward_first(const at::Tensor& x_TD) const;

  // The two ways, each right on any device; forward() takes the faster one.
  at::Tensor forward_grouped(const at::Tensor& x_RD, const at::Tensor& ends_E) const;
  at::Tensor forward_masked(const at::Tensor& x_RD, const at::Tensor& ends_E) const;

 private:
  at::Tensor activate(const at::Tensor& up) const;  // [..., 2F or F] -> [..., F]

  int64_t num_experts_;
  ExpertActivation activation_;
  double hidden_dropout_;        // in training
  at::Tensor up_, up_bias_;      // "gate_up" [E, 2F, D]: w1 over w3; or "up" [E, F, D]. The bias [E, 2F or F]
  at::Tensor down_, down_bias_;  // [E, D, F], [E, D]
};

}  // namespace sf
