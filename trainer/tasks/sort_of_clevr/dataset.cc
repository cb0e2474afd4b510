#include "trainer/tasks/sort_of_clevr/dataset.h"

#include <algorithm>

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

Batch make_user_batch(const UserData& data, const PreprocessOptions& pre, int batch_size, int max_questions,
                      uint64_t seed, int64_t index) {
  SF_REQUIRE(!data.images.empty(), "dataset: no pictures");
  SF_REQUIRE(batch_size >= 1 && max_questions >= 1 && index >= 0, "dataset: batch size ", batch_size, ", questions ",
             max_questions);
  Rng rng(seed, static_cast<uint64_t>(index));
  const auto grid_of = [&](const UserImage& image) { return choose_grid(image.width, image.height, pre); };
  Batch batch;
  batch.grid = grid_of(rng.pick(data.images));
  std::vector<const UserImage*> alike;
  for (const UserImage& image : data.images) {
    if (grid_of(image) == batch.grid) alike.push_back(&image);
  }
  for (int i = 0; i < batch_size; ++i) {
    const UserImage& image = *rng.pick(alike);
    batch.samples.push_back(sample_of({image.width, image.height, {}}, decode_image(image.bytes, data.limits), pre));
    std::vector<Question> questions = image.questions;
    rng.shuffle(questions);
    questions.resize(std::min<size_t>(questions.size(), static_cast<size_t>(max_questions)));
    batch.questions.push_back(std::move(questions));
  }
  return batch;
}

}  // namespace sf::data
