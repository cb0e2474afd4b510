#include "engine/model/dispatch.h"

namespace sf {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// rows[r] = x[slot_of_row[r] / K]; the gradient of token t is the sum of its K rows: a gather both ways.
class GatherRows : public torch::autograd::Function<GatherRows> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_TD, const at::Tensor& slot_of_row_R,
                            const at::Tensor& row_of_slot_TK) {
    context->save_for_backward({row_of_slot_TK});
    return x_TD.index_select(0, at::floor_divide(slot_of_row_R, row_of_slot_TK.size(1)));
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    at::Tensor row_of_slot_TK = context->get_saved_variables()[0];
    const int64_t tokens = row_of_slot_TK.size(0), slots = row_of_slot_TK.size(1);
    at::Tensor rows = gradients[0].index_select(0, row_of_slot_TK.flatten());
    return {rows.view({tokens, slots, rows.size(1)}).sum(1), at::Tensor(), at::Tensor()};
  }
};

// slots[t*K + j] = y[row_of_slot[t, j]], a permutation: its gradient is the inverse permutation.
class PermuteRows : public torch::autograd::Function<PermuteRows> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& y_RD, const at::Tensor& row_of_slot_TK,
                            const at::Tensor& slot_of_row_R) {
    context->save_for_backward({slot_of_row_R});
    return y_RD.index_select(0, row_of_slot_TK.flatten());
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {gradients[0].index_select(0, context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

Dispatch dispatch(const Routing& routing, int64_t num_experts, const at::Tensor& kept_TK) {
  Dispatch d;
  const at::Tensor expert_of_slot = routing.ids_TK.flatten();
  auto sorted = at::sort(expert_of_slot, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  d.slot_of_row_R = std::get<1>(sorted);
  at::Tensor row_of_slot = at::empty_like(d.slot_of_row_R);
  row_of_slot.scatter_(0, d.slot_of_row_R, at::arange(row_of_slot.size(0), row_of_slot.options()));
  d.row_of_slot_TK = row_of_slot.view(routing.ids_TK.sizes());
  d.ends_E = at::one_hot(expert_of_slot, num_experts).sum(0).cumsum(0);
  if (kept_TK.defined()) {
    d.kept_TK = kept_TK;
    d.gates_TK = routing.gates_TK * kept_TK.to(routing.gates_TK.dtype());
  } else {
    d.kept_TK = at::ones_like(routing.ids_TK, at::kBool);
    d.gates_TK = routing.gates_TK;
  }
  return d;
}

Dispatch dispatch(const Routing& routing, int64_t num_experts, int64_t capacity) {
  return dispatch(routing, num_experts, capacity > 0 ? kept_within(routing, num_experts, capacity) : at::Tensor());
}

at::Tensor gather_rows(const Dispatch& d, const at::Tensor& x_TD) {
  return GatherRows::apply(x_TD, d.slot_of_row_R, d.row_of_slot_TK);
}

at::Tensor combine(const Dispatch& d, const at::Tensor& y_RD) {
  at::Tensor slots = PermuteRows::apply(y_RD, d.row_of_slot_TK, d.slot_of_row_R);
  const int64_t tokens = d.row_of_slot_TK.size(0), k = d.row_of_slot_TK.size(1);
  return (slots.view({tokens, k, y_RD.size(1)}) * d.gates_TK.to(y_RD.dtype()).unsqueeze(-1)).sum(1);
}

}  // namespace sf
