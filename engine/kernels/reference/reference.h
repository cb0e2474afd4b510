// The operations on LibTorch. A device's table is made of these (reference_ops()); tests call them by name.
//
//   at::Tensor y_RD = reference::grouped_moe_ffn(weights, x_RD, ends_E);
//   at::Tensor gates_TK = reference::gates_of(scores_TE, ids_TK, rule);
//
// Differentiable in everything but the cache. Thread-safe.
#pragma once

#include "engine/kernels/ops.h"

namespace sf::reference {

// Sequences padded to one length and attended to under a dense mask: decoding ones together, prompts together.
std::unique_ptr<AttentionPlan> plan_attention(const AttentionMetadata& metadata, at::Device device);

// The two ways to run experts, each right on any device. Grouped reads the bounds on the host, and each expert
// multiplies its own rows. Masked has every expert multiply every row and a mask pick, which keeps shapes static and
// needs no host synchronisation.
at::Tensor grouped_moe_ffn(const FfnWeights& weights, const at::Tensor& x_RD, const at::Tensor& ends_E);
at::Tensor masked_moe_ffn(const FfnWeights& weights, const at::Tensor& x_RD, const at::Tensor& ends_E);
at::Tensor dense_ffn(const FfnWeights& weights, const at::Tensor& x_TD);

Gates topk_gates(const at::Tensor& scores_TE, const at::Tensor& bias_E, const GateRule& rule);
// The gates of experts that are chosen already.
at::Tensor gates_of(const at::Tensor& scores_TE, const at::Tensor& ids_TK, const GateRule& rule);

}  // namespace sf::reference
