#include "trainer/tasks/sort_of_clevr/dataset.h"

#include "engine/base/error.h"

namespace sf::data {

Batch make_batch(const DatasetOptions& options, uint64_t seed, int64_t index) {
  SF_REQUIRE(options.batch_size >= 1 && index >= 0, "dataset: batch size ", options.batch_size, ", batch ", index);
  Rng rng(seed, static_cast<uint64_t>(index));
  Batch batch;
  batch.grid = draw_grid(rng, options.samples);
  for (int i = 0; i < options.batch_size; ++i) {
    batch.samples.push_back(make_sample(rng, batch.grid, options.samples));
    batch.questions.push_back(sample_questions(rng, batch.samples.back().scene, options.questions));
  }
  return batch;
}

}  // namespace sf::data
