#include "engine/runtime/strict_capacity.h"

namespace sf {

StrictCapacity::StrictCapacity(const Batch& batch, const DecoderConfig& config, double capacity_factor,
                               at::Device device)
    : num_experts_(config.moe.num_experts), capacity_(capacity_of_window(config.moe, capacity_factor)) {
  const int64_t parts = static_cast<int64_t>(batch.parts.size());
  std::vector<int64_t> first, carry, counts;
  for (int64_t p = 0; p < parts; ++p) {
    const BatchPart& part = batch.parts[p];
    const auto& window = part.sequence->window.counts();
    counts.insert(counts.end(), window.begin(), window.end());
    // A part that begins in the middle of a window goes on counting; every later window starts from zero.
    int64_t row = starts_capacity_window(part.begin) ? parts : p;
    int64_t window_first = static_cast<int64_t>(first.size());
    for (int i = 0; i < part.count; ++i) {
      if (i > 0 && starts_capacity_window(part.begin + i)) {
        window_first = static_cast<int64_t>(first.size());
        row = parts;
      }
      first.push_back(window_first);
      carry.push_back(row);
    }
  }
  counts.resize(static_cast<size_t>(parts + 1) * config.num_layers * num_experts_);
  window_first_T_ = torch::tensor(first, at::kLong).to(device);
  carry_T_ = torch::tensor(carry, at::kLong).to(device);
  carried_ = torch::tensor(counts, at::kLong).view({parts + 1, config.num_layers, num_experts_}).to(device);
}

at::Tensor StrictCapacity::kept(int layer, const Routing& routing) {
  if (capacity_ <= 0) return at::Tensor();
  // A token's experts are distinct, so how many places were taken before it is the same for all its slots.
  at::Tensor wants_TE = at::one_hot(routing.ids_TK, num_experts_).sum(1);
  at::Tensor before_TE = wants_TE.cumsum(0) - wants_TE;
  at::Tensor taken_TE =
      before_TE - before_TE.index_select(0, window_first_T_) + carried_.select(1, layer).index_select(0, carry_T_);
  return taken_TE.gather(1, routing.ids_TK) < capacity_;
}

}  // namespace sf
