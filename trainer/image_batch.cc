#include "trainer/image_batch.h"

#include <cstring>

#include "engine/base/error.h"

namespace sf {

ImageBatch image_batch(const std::vector<Example>& examples) {
  SF_CHECK(!examples.empty(), "image_batch: no examples");
  const PixelValues& first = examples.front().pixels;
  const int64_t plane = static_cast<int64_t>(first.values.size()) / 3;
  const int64_t cells = int64_t{first.grid.rows} * first.grid.columns;
  const int64_t cell = static_cast<int64_t>(std::llround(std::sqrt(double(plane) / double(cells))));
  ImageBatch batch;
  batch.pixels = at::empty(
      {static_cast<int64_t>(examples.size()), 3, first.grid.rows * cell, first.grid.columns * cell}, at::kFloat);
  float* target = batch.pixels.data_ptr<float>();
  for (const Example& example : examples) {
    SF_CHECK(example.pixels.grid == first.grid, "image_batch: grids differ");
    std::memcpy(target, example.pixels.values.data(), example.pixels.values.size() * sizeof(float));
    target += example.pixels.values.size();
    batch.boxes.push_back({example.pixels.left, example.pixels.top, example.pixels.width, example.pixels.height});
  }
  return batch;
}

}  // namespace sf
