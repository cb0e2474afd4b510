// E feed-forward networks over rows sorted by expert, and a single one over all tokens (the shared expert).
//
//   Experts experts(config.decoder, num_experts, 128);   // F = 128
//   at::Tensor y_RD = experts.forward(x_RD, ends_E, ops);
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <torch/torch.h>

#include "engine/kernels/ops.h"
#include "engine/model/config.h"

namespace sf {

class Experts : public torch::nn::Module {
 public:
  Experts(const DecoderConfig& config, int64_t num_experts, int64_t hidden);
  // x_RD sorted by expert, ends_E its bounds -> [R, D]: "swiglu" w2(silu(w1 x) * w3 x), "gelu" and "relu" w2 act(w1 x),
  // with a bias after either matrix if the configuration says so. In training the Switch dropout acts on the hidden
  // layer.
  at::Tensor forward(const at::Tensor& x_RD, const at::Tensor& ends_E, const Ops& ops) const;
  // Every row through expert 0.
  at::Tensor forward_first(const at::Tensor& x_TD, const Ops& ops) const;

  // Views of the parameters, as they are now.
  FfnWeights weights() const;

 private:
  FfnActivation activation_;
  double hidden_dropout_;        // in training
  at::Tensor up_, up_bias_;      // "gate_up" [E, 2F, D]: w1 over w3; or "up" [E, F, D]. The bias [E, 2F or F]
  at::Tensor down_, down_bias_;  // [E, D, F], [E, D]
};

}  // namespace sf
