// Noisy top-k routing (Shazeer 2017, arXiv 1701.06538). In f32 whatever the model's dtype; ties go to the lowest id.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

struct Routing {
  at::Tensor logits_TE;  // f32, without noise
  at::Tensor probs_TE;   // softmax of the logits
  at::Tensor ids_TK;     // int64, by descending (noisy) logit
  at::Tensor gates_TK;   // f32
};

class Router : public torch::nn::Module {
 public:
  explicit Router(const DecoderConfig& config);
  // x_TD -> Routing. Noise N(0,1) * (softplus(x W_noise) + noise_epsilon) * noise_scale is added only while is_training().
  Routing forward(const at::Tensor& x_TD) const;

 private:
  MoeConfig config_;
  at::Tensor weight_, noise_weight_;  // [E, D]; both start at zero: balanced, with noise of std ln 2
  at::Tensor bias_, noise_bias_;      // [E]
  at::Tensor balance_bias_;           // [E]; never trained, see balance()
};

// Switch's balance loss (arXiv 2101.03961): E * sum_e f_e P_e with f the share of assignments; 1 when balanced.
at::Tensor balance_loss(const Routing& routing);
// ST-MoE's z-loss (arXiv 2202.08906): mean of logsumexp(logits)^2.
at::Tensor router_z_loss(const Routing& routing);

}  // namespace sf
