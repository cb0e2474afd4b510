#include "engine/model/dispatch.h"

#include <cmath>

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

int64_t expert_capacity(int64_t tokens, int64_t num_experts, int64_t top_k, double factor) {
  if (factor <= 0) return 0;
  const double even = static_cast<double>(top_k) * tokens / num_experts;
  return std::max<int64_t>(4, static_cast<int64_t>(std::ceil(even * factor)));
}

Dispatch dispatch(const Routing& routing, int64_t num_experts, int64_t capacity) {
  Dispatch d;
  const at::Tensor expert_of_slot = routing.ids_TK.flatten();
  auto sorted = at::sort(expert_of_slot, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  d.slot_of_row_R = std::get<1>(sorted);
  at::Tensor row_of_slot = at::empty_like(d.slot_of_row_R);
  row_of_slot.scatter_(0, d.slot_of_row_R, at::arange(row_of_slot.size(0), row_of_slot.options()));
  d.row_of_slot_TK = row_of_slot.view(routing.ids_TK.sizes());
  at::Tensor counts = at::one_hot(expert_of_slot, num_experts).sum(0);
  d.ends_E = counts.cumsum(0);
  if (capacity > 0) {
    at::Tensor rank = row_of_slot - (d.ends_E - counts).index_select(0, expert_of_slot);
    d.kept_TK = (rank < capacity).view(routing.ids_TK.sizes());
    d.gates_TK = routing.gates_TK * d.kept_TK.to(routing.gates_TK.dtype());
  } else {
    d.kept_TK = at::ones_like(routing.ids_TK, at::kBool);
    d.gates_TK = routing.gates_TK;
  }
  return d;
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
