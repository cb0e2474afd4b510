// The causal capacity windows of one request: how many of each expert's places its tokens have taken so far in a window
// of kCapacityWindow positions. Statistics, strict capacity and the recount of cached tokens all count here, so a drop
// is an overflow of scope `request` and the other way round (docs/model.md).
//
//   sequence.window = CapacityWindow(num_layers, num_experts);
//   sequence.window.begin_token(layer, position);   // for each token in order, in every layer that routes
//   overflow += sequence.window.add(layer, expert, capacity);   // for each of its experts
//
// One thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/config.h"

namespace sf {

// Tokens of one causal capacity window of a request; pages are aligned to it.
inline constexpr int kCapacityWindow = 32;

inline bool starts_capacity_window(int position) { return position % kCapacityWindow == 0; }

// Assignments that an expert takes of one window; 0 = no limit.
int64_t capacity_of_window(const MoeConfig& config, double capacity_factor);

class CapacityWindow {
 public:
  CapacityWindow() = default;
  CapacityWindow(int num_layers, int num_experts)
      : num_experts_(num_experts), counts_(static_cast<size_t>(num_layers) * num_experts) {}

  // Effect: the layer counts from zero if a window starts at `position`.
  void begin_token(int layer, int position);
  // Effect: one more assignment. -> whether it is above `capacity`; 0 = no limit.
  bool add(int layer, int expert, int64_t capacity) {
    return ++counts_[static_cast<size_t>(layer) * num_experts_ + expert] > capacity && capacity > 0;
  }
  // [layers, experts]: what the tokens of the window in progress took.
  const std::vector<uint16_t>& counts() const { return counts_; }

 private:
  int num_experts_ = 0;
  std::vector<uint16_t> counts_;
};

}  // namespace sf
