// How evenly the experts of one layer are used, from counts alone.
//
//   ExpertLoad load = expert_load(assignments_per_expert);
//
// Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace sf {

struct ExpertLoad {
  int64_t assignments = 0;
  double max_violation = 0;  // MaxVio: (largest - mean) / mean; 0 when even, experts / top_k - 1 when collapsed
  double cv_squared = 0;     // variance over the mean squared
  double entropy_ratio = 0;  // H(f) / ln(experts): 1 when even, 0 when one expert takes all
  int dead_experts = 0;      // without an assignment
};

// Without assignments every ratio is 0, and all experts are dead.
ExpertLoad expert_load(const std::vector<int64_t>& assignments);

}  // namespace sf
