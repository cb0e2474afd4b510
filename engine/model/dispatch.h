// Token rows <-> expert rows. Stateless: dispatch() decides where each (token, slot) goes, gather_rows() sorts the tokens
// by expert, combine() brings the experts' rows back. Both movements have exact gradients without scatter-adds, so they
// are deterministic.
//
//   Dispatch d = dispatch(routing, expert_capacity(T, moe));
//   at::Tensor y_TD = combine(d, experts.forward(gather_rows(d, x_TD), d));
#pragma once

#include <torch/torch.h>

#include "engine/model/router.h"

namespace sf {

struct Dispatch {
  at::Tensor row_of_slot_TK;  // int64: where slot (t, j) stands among the R rows sorted by expert, then by position
  at::Tensor slot_of_row_R;   // its inverse: t*K + j
  at::Tensor ends_E;          // int64: row after the last of each expert; stays on the device
  at::Tensor kept_TK;         // bool: false above the expert's capacity (position order: the last ones overflow)
  at::Tensor gates_TK;        // zero where not kept: a token with no slot left passes by the residual
};

// C = max(4, ceil(top_k * tokens / num_experts * factor)); 0 = no limit.
int64_t expert_capacity(int64_t tokens, int64_t num_experts, int64_t top_k, double factor);

Dispatch dispatch(const Routing& routing, int64_t num_experts, int64_t capacity);

// x_TD -> [R, D], R = T*K.
at::Tensor gather_rows(const Dispatch& d, const at::Tensor& x_TD);

// y_RD -> [T, D]: the gate-weighted sum of a token's rows in slot order.
at::Tensor combine(const Dispatch& d, const at::Tensor& y_RD);

}  // namespace sf
