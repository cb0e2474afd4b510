#include "engine/base/expert_load.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sf {

ExpertLoad expert_load(const std::vector<int64_t>& assignments) {
  ExpertLoad load;
  load.assignments = std::accumulate(assignments.begin(), assignments.end(), int64_t{0});
  load.dead_experts = static_cast<int>(std::count(assignments.begin(), assignments.end(), 0));
  if (load.assignments <= 0) return load;
  const double experts = static_cast<double>(assignments.size()), total = static_cast<double>(load.assignments);
  const double mean = total / experts;
  double squares = 0, entropy = 0;
  for (const int64_t count : assignments) {
    squares += (double(count) - mean) * (double(count) - mean);
    if (count > 0) entropy -= double(count) / total * std::log(double(count) / total);
  }
  load.max_violation = double(*std::max_element(assignments.begin(), assignments.end())) / mean - 1;
  load.cv_squared = squares / experts / (mean * mean);
  load.entropy_ratio = experts > 1 ? entropy / std::log(experts) : 1;
  return load;
}

}  // namespace sf
