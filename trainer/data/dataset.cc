#include "trainer/data/dataset.h"

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
  SF_REQUIRE(!data.pictures.empty(), "dataset: no pictures");
  SF_REQUIRE(batch_size >= 1 && max_questions >= 1 && index >= 0, "dataset: batch size ", batch_size, ", questions ",
             max_questions);
  Rng rng(seed, static_cast<uint64_t>(index));
  const auto grid_of = [&](const UserPicture& picture) { return choose_grid(picture.width, picture.height, pre); };
  Batch batch;
  batch.grid = grid_of(rng.pick(data.pictures));
  std::vector<const UserPicture*> alike;
  for (const UserPicture& picture : data.pictures) {
    if (grid_of(picture) == batch.grid) alike.push_back(&picture);
  }
  for (int i = 0; i < batch_size; ++i) {
    const UserPicture& picture = *rng.pick(alike);
    batch.samples.push_back(
        sample_of({picture.width, picture.height, {}}, decode_image(picture.bytes, data.limits), pre));
    std::vector<Question> questions = picture.questions;
    rng.shuffle(questions);
    questions.resize(std::min<size_t>(questions.size(), static_cast<size_t>(max_questions)));
    batch.questions.push_back(std::move(questions));
  }
  return batch;
}

}  // namespace sf::data
