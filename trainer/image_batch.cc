#include "trainer/image_batch.h"

#include <cstring>

#include "engine/base/error.h"

namespace sf {

ImageBatch image_batch(const std::vector<data::Sample>& samples) {
  SF_CHECK(!samples.empty(), "image_batch: no samples");
  const PixelValues& first = samples.front().pixels;
  const int64_t plane = static_cast<int64_t>(first.values.size()) / 3;
  const int64_t cells = int64_t{first.grid.rows} * first.grid.columns;
  const int64_t cell = static_cast<int64_t>(std::llround(std::sqrt(double(plane) / double(cells))));
  ImageBatch batch;
  batch.pixels = at::empty({static_cast<int64_t>(samples.size()), 3, first.grid.rows * cell, first.grid.columns * cell},
                           at::kFloat);
  float* target = batch.pixels.data_ptr<float>();
  for (const data::Sample& sample : samples) {
    SF_CHECK(sample.pixels.grid == first.grid, "image_batch: grids differ");
    std::memcpy(target, sample.pixels.values.data(), sample.pixels.values.size() * sizeof(float));
    target += sample.pixels.values.size();
    batch.boxes.push_back({sample.pixels.left, sample.pixels.top, sample.pixels.width, sample.pixels.height});
  }
  return batch;
}

}  // namespace sf
