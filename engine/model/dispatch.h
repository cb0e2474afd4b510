// Token rows <-> expert rows: dispatch() decides where each (token, slot) goes, gather_rows() sorts the tokens by
// expert, combine() brings the experts' rows back. Both movements have exact gradients without scatter-adds, so they
// are deterministic. A slot that is not kept still has its row, so shapes do not depend on what is dropped.
//
//   Dispatch d = dispatch(routing, num_experts, kept_within(routing, num_experts, capacity));
//   at::Tensor y_TD = combine(d, experts.forward(gather_rows(d, x_TD), d.ends_E, ops));
//
// Plain values and pure functions.
#pragma once

#include <torch/torch.h>

#include "engine/model/capacity.h"
#include "engine/model/router.h"

namespace sf {

struct Dispatch {
  at::Tensor row_of_slot_TK;  // int64: where slot (t, j) stands among the R rows sorted by expert, then by position
  at::Tensor slot_of_row_R;   // its inverse: t*K + j
  at::Tensor ends_E;          // int64: row after the last of each expert; stays on the device
  at::Tensor kept_TK;         // bool: false above the expert's capacity
  at::Tensor gates_TK;        // zero where not kept: a token with no slot left passes by the residual
};

// `kept_TK` bool; undefined = all.
Dispatch dispatch(const Routing& routing, int64_t num_experts, const at::Tensor& kept_TK);
// Position order within `capacity`; 0 = no limit.
Dispatch dispatch(const Routing& routing, int64_t num_experts, int64_t capacity);

// x_TD -> [R, D], R = T*K.
at::Tensor gather_rows(const Dispatch& d, const at::Tensor& x_TD);

// y_RD -> [T, D]: the gate-weighted sum of a token's rows in slot order.
at::Tensor combine(const Dispatch& d, const at::Tensor& y_RD);

}  // namespace sf
