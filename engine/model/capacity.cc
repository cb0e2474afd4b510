#include "engine/model/capacity.h"

#include <cmath>

#include "engine/base/error.h"

namespace sf {
namespace {

// The flat slots t*K + j of tokens `tokens_T`, first choices first.
at::Tensor choices_of(const at::Tensor& tokens_T, int64_t k) {
  return (tokens_T.unsqueeze(1) * k + at::arange(k, tokens_T.options())).t().flatten();
}

// The flat slots, those first that keep their places longest.
at::Tensor by_precedence(const Routing& routing, DropOrder order) {
  const int64_t tokens = routing.ids_TK.size(0), k = routing.ids_TK.size(1);
  const at::Tensor gates = routing.gates_TK.detach();
  auto descending = [](const at::Tensor& values) {
    return std::get<1>(at::sort(values, /*stable=*/true, 0, /*descending=*/true));
  };
  switch (order) {
    case DropOrder::kPosition:
      return at::arange(tokens * k, routing.ids_TK.options());
    case DropOrder::kChoice:
      return choices_of(at::arange(tokens, routing.ids_TK.options()), k);
    case DropOrder::kProbability:
      return descending(gates.flatten());
    case DropOrder::kBatchPriority:
      return choices_of(descending(gates.amax(1)), k);
  }
  throw Error(Code::kInternal, "capacity: unknown order");
}

}  // namespace

int64_t expert_capacity(int64_t tokens, int64_t num_experts, int64_t top_k, double factor) {
  if (factor <= 0) return 0;
  const double even = static_cast<double>(top_k) * tokens / num_experts;
  return std::max<int64_t>(4, static_cast<int64_t>(std::ceil(even * factor)));
}

at::Tensor kept_within(const Routing& routing, int64_t num_experts, int64_t capacity, DropOrder order) {
  if (capacity <= 0 || routing.ids_TK.numel() == 0) return at::ones_like(routing.ids_TK, at::kBool);
  const at::Tensor expert_of_slot = routing.ids_TK.flatten();
  at::Tensor slots = by_precedence(routing, order);
  at::Tensor experts = expert_of_slot.index_select(0, slots);
  auto [sorted, from] = at::sort(experts, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  at::Tensor counts = at::one_hot(expert_of_slot, num_experts).sum(0);
  at::Tensor begins = counts.cumsum(0) - counts;
  at::Tensor rank = at::arange(sorted.size(0), sorted.options()) - begins.index_select(0, sorted);
  at::Tensor kept = at::empty_like(expert_of_slot, at::kBool);
  kept.scatter_(0, slots.index_select(0, from), rank < capacity);
  return kept.view(routing.ids_TK.sizes());
}

BatchCapacity::BatchCapacity(const MoeConfig& config, int64_t num_tokens, double factor)
    : num_experts_(config.num_experts),
      capacity_(expert_capacity(num_tokens, config.num_experts, config.top_k, factor)),
      order_(config.drop_order) {}

at::Tensor BatchCapacity::kept(int, const Routing& routing) {
  return capacity_ > 0 ? kept_within(routing, num_experts_, capacity_, order_) : at::Tensor();
}

}  // namespace sf
