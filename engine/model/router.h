// Noisy top-k routing (Shazeer 2017, arXiv 1701.06538). In f32 whatever the model's dtype; ties go to the lowest id.
//
//   Router router(config.decoder);
//   Routing routing = router.forward(x_TD, ops);
//   update_balance_bias(router.balance_bias(), counts_E, 1e-3);   // bias_balancing, each step
//
// A Router: thread-safe as long as the weights do not change; const methods only read them. update_balance_bias()
// changes the balance bias: one thread at a time, and no forward pass meanwhile.
#pragma once

#include <torch/torch.h>

#include "engine/kernels/ops.h"
#include "engine/model/config.h"
#include "engine/model/shapes.h"

namespace sf {

struct Routing {
  at::Tensor logits_TE;               // f32, without noise
  at::Tensor probs_TE;                // softmax of the logits
  at::Tensor ids_TK;                  // int64, by descending (noisy) logit
  at::Tensor gates_TK;                // f32
  at::Tensor noisy_TE, noise_std_TE;  // logits with their noise and its standard deviation; undefined without noise
};

// How a model's scores become gates.
GateRule gate_rule(const MoeConfig& config);

class Router : public torch::nn::Module {
 public:
  explicit Router(const DecoderConfig& config);
  // x_TD -> Routing. Noise N(0,1) * (softplus(x W_noise) + noise_epsilon) * noise_scale is added only while
  // is_training(), and only then does whole-expert dropout close experts (never so many that fewer than top_k are
  // open).
  Routing forward(const at::Tensor& x_TD, const Ops& ops = reference_ops(at::kCPU)) const;
  // [E]; undefined without bias_balancing. The storage is the module's: update_balance_bias() changes it.
  const at::Tensor& balance_bias() const { return balance_bias_; }

 private:
  at::Tensor closed_experts() const;  // bool [E]

  MoeConfig config_;
  at::Tensor weight_, noise_weight_;  // [E, D]; both start at zero: balanced, with noise of std ln 2
  at::Tensor bias_, noise_bias_;      // [E]
  at::Tensor balance_bias_;           // [E]; not trained, see update_balance_bias()
};

// DeepSeek's balancing without a loss (arXiv 2408.15664): an expert with fewer assignments than the mean gains `rate`,
// one with more loses it. Effect: changes balance_bias_E in place. counts_E: assignments of one optimiser step.
void update_balance_bias(const at::Tensor& balance_bias_E, const at::Tensor& counts_E, double rate);

}  // namespace sf
