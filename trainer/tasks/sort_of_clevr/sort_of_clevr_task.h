// Sort-of-CLEVR as a task: generated scenes, questions with true answers, labels of every token.
//
//   const std::unique_ptr<Task> task = make_sort_of_clevr_task({.evaluation_images = 100});
//
// Pure functions; the task is immutable.
#pragma once

#include <cstdint>
#include <memory>

#include "trainer/task.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf {

struct SortOfClevrOptions {
  float non_scene_fraction = 0.06f;  // of training's images
  int64_t images_per_epoch = 10'000;
  int evaluation_images = 100;  // of each of the three held-out sets
};

std::unique_ptr<Task> make_sort_of_clevr_task(const SortOfClevrOptions& options);

// The sample's labels for encoder tokens of `label_size` pixels, in the order of the task's dense_targets().
TokenLabels token_labels(const data::Sample& sample, int label_size);

// What the trainer takes of a sample: pixels, questions, the objects that can be seen; labels where `label_size` > 0.
Example example_of(const data::Sample& sample, const std::vector<data::Question>& questions, int cell_size,
                   int label_size);

}  // namespace sf
