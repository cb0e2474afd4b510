#include "trainer/tasks/sort_of_clevr/curriculum.h"

#include <algorithm>

namespace sf {

data::DatasetOptions curriculum(const data::DatasetOptions& base, double progress, bool warm) {
  data::DatasetOptions options = base;
  if (warm || progress > 1.0 / 3) return options;
  auto& weights = options.questions.weights;
  weights[data::kDescribe] = 0;
  weights[data::kOffTopic] = 0;
  if (progress < 1.0 / 6) {
    options.questions.keyword = 1;
    options.questions.plain_keyword = true;
    options.questions.canonical = 0;
    weights[data::kAbsentColour] = 0;
    options.samples.non_scene_fraction = 0;
    options.samples.min_objects = std::max(options.samples.min_objects, 2);
  } else {
    options.questions.keyword = 0.5f;
  }
  return options;
}

}  // namespace sf
