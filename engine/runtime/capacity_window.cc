#include "engine/runtime/capacity_window.h"

#include <algorithm>

#include "engine/model/capacity.h"

namespace sf {

int64_t capacity_of_window(const MoeConfig& config, double capacity_factor) {
  return expert_capacity(kCapacityWindow, config.num_experts, config.top_k, capacity_factor);
}

void CapacityWindow::begin_token(int layer, int position) {
  if (starts_capacity_window(position)) {
    std::fill_n(counts_.begin() + static_cast<int64_t>(layer) * num_experts_, num_experts_, uint16_t{0});
  }
}

}  // namespace sf
