#include "engine/runtime/explain/occlusion.h"

#include <algorithm>
#include <limits>

namespace sf {
namespace {

constexpr int64_t kImagesAtOnce = 8;

struct Patch {
  int64_t top = 0, left = 0;  // pixels of the grid
};

std::vector<Patch> windows_of(GridSize grid, int64_t cell, int64_t stride) {
  std::vector<Patch> windows;
  for (int64_t top = 0; top + cell <= grid.rows * cell; top += stride) {
    for (int64_t left = 0; left + cell <= grid.columns * cell; left += stride) windows.push_back({top, left});
  }
  return windows;
}

// The per-channel median of the image without its padding: [3, 1, 1]. Of a scene that is the ground, so that painting
// over nothing changes nothing.
at::Tensor median_colour(const at::Tensor& pixels_13HW, const PixelValues& image) {
  // A cropped image reaches beyond its grid.
  const int64_t top = std::max(image.top, 0), left = std::max(image.left, 0);
  const int64_t bottom = std::min<int64_t>(image.top + image.height, pixels_13HW.size(2));
  const int64_t right = std::min<int64_t>(image.left + image.width, pixels_13HW.size(3));
  at::Tensor inside = pixels_13HW[0].slice(1, top, bottom).slice(2, left, right);
  return std::get<0>(inside.flatten(1).median(1)).view({3, 1, 1});
}

// [B, answer tokens] log-probabilities of the answer behind each of B images.
at::Tensor answer_logprobs(const ExplainSequence& sequence, const at::Tensor& pixels_B3HW,
                           const std::vector<int>& ids) {
  const int64_t rows = pixels_B3HW.size(0), length = static_cast<int64_t>(ids.size()),
                prompt = sequence.prompt_tokens();
  at::Tensor image_BPD = sequence.encode(pixels_B3HW);
  at::Tensor mask = at::full({length, length}, -std::numeric_limits<float>::infinity(), image_BPD.options()).triu(1);
  PackedAttention attention(mask.unsqueeze(0).expand({rows, length, length}));
  const Decoder& decoder = sequence.vlm().decoder();
  at::Tensor hidden = sequence.forward(image_BPD, ids, attention).view({rows, length, -1});
  at::Tensor due = hidden.narrow(1, prompt - 1, length - prompt);
  at::Tensor logprobs =
      at::log_softmax(decoder.logits(due.flatten(0, 1)).to(at::kFloat), -1).view({rows, length - prompt, -1});
  at::Tensor answer = torch::tensor(std::vector<int64_t>(ids.begin() + prompt, ids.end())).to(logprobs.device());
  return logprobs.gather(2, answer.view({1, -1, 1}).expand({rows, length - prompt, 1})).squeeze(2);
}

double overlap(int64_t window, int64_t cell_begin, int64_t cell) {
  return double(std::max<int64_t>(0, std::min(window, cell_begin) + cell - std::max(window, cell_begin)));
}

// [windows, cells]: each column sums to 1.
at::Tensor window_weights(const std::vector<Patch>& windows, GridSize grid, int64_t cell) {
  at::Tensor weights = at::zeros({static_cast<int64_t>(windows.size()), grid.rows * grid.columns}, at::kFloat);
  auto at = weights.accessor<float, 2>();
  for (size_t w = 0; w < windows.size(); ++w) {
    for (int64_t p = 0; p < weights.size(1); ++p) {
      const double area = overlap(windows[w].top, p / grid.columns * cell, cell) *
                          overlap(windows[w].left, p % grid.columns * cell, cell);
      at[w][p] = static_cast<float>(area);
    }
  }
  return weights / weights.sum(0, /*keepdim=*/true);
}

}  // namespace

at::Tensor occlusion_drops(const ExplainSequence& sequence, const std::vector<int>& ids, const ExplainCheck& check) {
  const GridSize grid = sequence.image().grid;
  const int64_t cell = sequence.vlm().config().image.cell_size;
  const std::vector<Patch> windows = windows_of(grid, cell, std::max<int64_t>(1, cell / 2));
  const at::Tensor& pixels = sequence.pixels();
  const at::Tensor colour = median_colour(pixels, sequence.image());
  const at::Tensor whole_A = answer_logprobs(sequence, pixels, ids)[0];
  std::vector<at::Tensor> drops;  // [windows of the batch, answer tokens]
  for (size_t begin = 0; begin < windows.size(); begin += kImagesAtOnce) {
    check();
    const int64_t count = std::min<int64_t>(kImagesAtOnce, windows.size() - begin);
    at::Tensor painted = pixels.repeat({count, 1, 1, 1});
    for (int64_t i = 0; i < count; ++i) {
      const Patch& window = windows[begin + i];
      painted[i].narrow(1, window.top, cell).narrow(2, window.left, cell).copy_(colour);
    }
    drops.push_back(whole_A.unsqueeze(0) - answer_logprobs(sequence, painted, ids));
  }
  at::Tensor drops_WA = at::cat(drops).clamp_min(0).cpu();
  return at::matmul(drops_WA.t(), window_weights(windows, grid, cell));
}

}  // namespace sf
