#include "engine/explain/explanation.h"

#include "engine/base/error.h"

namespace sf {

std::string_view heatmap_method_name(HeatmapMethod method) {
  switch (method) {
    case HeatmapMethod::kAttention:
      return "attention";
    case HeatmapMethod::kRollout:
      return "rollout";
    case HeatmapMethod::kRelevancy:
      return "relevancy";
    case HeatmapMethod::kOcclusion:
      break;
  }
  return "occlusion";
}

HeatmapMethod parse_heatmap_method(std::string_view name) {
  for (HeatmapMethod method : kHeatmapMethods) {
    if (name == heatmap_method_name(method)) return method;
  }
  throw invalid_argument("method", "method: must be attention, rollout, relevancy or occlusion, got ", name);
}

}  // namespace sf
