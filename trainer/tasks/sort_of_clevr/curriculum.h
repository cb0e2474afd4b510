// What the model is asked as training goes on. Binding a question's colour word to the image takes one attention hop
// in the keyword forms ("what shape red"), so they come first; full sentences, long answers and refusals follow.
// Pure functions.
#pragma once

#include "trainer/tasks/sort_of_clevr/dataset.h"

namespace sf {

// `progress` 0..1 of the run; `warm` for a model that can answer already: all kinds from the start.
data::DatasetOptions curriculum(const data::DatasetOptions& base, double progress, bool warm);

}  // namespace sf
