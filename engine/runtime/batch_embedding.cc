#include "engine/runtime/batch_embedding.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace sf {

EncodedImages encode_images(const Vlm& vlm, const std::vector<BatchPart>& parts, at::Device device) {
  struct Job {
    Sequence* sequence;
    size_t image;
  };
  std::map<std::pair<int, int>, std::vector<Job>> by_grid;
  for (const BatchPart& part : parts) {
    const EnginePrompt& prompt = *part.sequence->prompt;
    for (size_t i = 0; i < prompt.tokens.images.size(); ++i) {
      const ImageSpan& span = prompt.tokens.images[i];
      const bool wanted = part.begin < span.begin + span.count && part.begin + part.count > span.begin;
      if (!wanted || part.sequence->image_PM[i].defined()) continue;
      by_grid[{prompt.pixels[i].grid.rows, prompt.pixels[i].grid.columns}].push_back({part.sequence, i});
    }
  }
  EncodedImages encoded;
  if (by_grid.empty()) return encoded;
  const auto began = std::chrono::steady_clock::now();
  const int64_t cell = vlm.config().image.cell_size;
  for (const auto& [grid, jobs] : by_grid) {
    at::Tensor pixels =
        at::empty({static_cast<int64_t>(jobs.size()), 3, grid.first * cell, grid.second * cell}, at::kFloat);
    std::vector<ImageBox> boxes;
    for (size_t j = 0; j < jobs.size(); ++j) {
      const PixelValues& values = jobs[j].sequence->prompt->pixels[jobs[j].image];
      std::copy(values.values.begin(), values.values.end(), pixels[j].data_ptr<float>());
      boxes.push_back({values.left, values.top, values.width, values.height});
    }
    at::Tensor image_BPM = vlm.encode_images(pixels.to(device), boxes);
    for (size_t j = 0; j < jobs.size(); ++j) jobs[j].sequence->image_PM[jobs[j].image] = image_BPM[j];
    encoded.count += static_cast<int>(jobs.size());
  }
  encoded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return encoded;
}

DecoderInput embed_batch(const Vlm& vlm, const Batch& batch) {
  std::vector<PlacedImage> images;
  int64_t first = 0;
  for (const BatchPart& part : batch.parts) {
    const auto& spans = part.sequence->prompt->tokens.images;
    for (size_t i = 0; i < spans.size(); ++i) {
      const int begin = std::max(part.begin, spans[i].begin);
      const int end = std::min(part.begin + part.count, spans[i].begin + spans[i].count);
      if (begin >= end) continue;
      at::Tensor& image_PM = part.sequence->image_PM[i];
      images.push_back(
          {first + begin - part.begin, image_PM.narrow(0, begin - spans[i].begin, end - begin).unsqueeze(0)});
      if (end == spans[i].begin + spans[i].count) image_PM = at::Tensor();
    }
    first += part.count;
  }
  return decoder_input(vlm, batch.ids_T.unsqueeze(0), images);
}

}  // namespace sf
