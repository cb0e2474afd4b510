// Losses over one layer's routing of real tokens: scalars that training weighs and adds. All are differentiable in
// whatever dtype the routing has.
//
//   at::Tensor loss = 0.01 * balance_loss(routing) + 0.001 * router_z_loss(routing);
//
// Pure functions.
#pragma once

#include <torch/torch.h>

#include "engine/model/router.h"

namespace sf {

// Switch's balance loss (arXiv 2101.03961): E * sum_e f_e P_e with f the share of assignments; 1 when balanced.
at::Tensor balance_loss(const Routing& routing);

// ST-MoE's z-loss (arXiv 2202.08906): mean of logsumexp(logits)^2.
at::Tensor router_z_loss(const Routing& routing);

// Shazeer 2017 (arXiv 1701.06538): CV^2 over experts of the importance sum_t g_te; 0 when balanced.
at::Tensor importance_loss(const Routing& routing);

// Shazeer's load loss in V-MoE's form (arXiv 2106.05974): CV^2 over experts of mean_t Phi((logit - threshold) / std),
// the probability that a fresh draw of the noise lifts the expert above the token's k-th noisy logit. REQUIRES: noise,
// that is routing.noisy_TE is defined.
at::Tensor load_loss(const Routing& routing);

// The balance loss within each modality, mean over those that have tokens. is_image_T: 0 or 1.
at::Tensor modality_balance_loss(const Routing& routing, const at::Tensor& is_image_T);

// LIMoE's two entropy losses (arXiv 2206.02770), means over the modalities that have tokens. Local: mean_t H(p_t), each
// token sure. Global: max(0, ln(min_experts) - H(mean_t p_t)), each modality on min_experts or more.
at::Tensor local_entropy_loss(const Routing& routing, const at::Tensor& is_image_T);
at::Tensor global_entropy_loss(const Routing& routing, const at::Tensor& is_image_T, double min_experts);

}  // namespace sf
