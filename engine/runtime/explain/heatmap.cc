#include "engine/runtime/explain/heatmap.h"

#include <cmath>

namespace sf {
namespace {

at::Tensor with_identity(const at::Tensor& map_NN) { return map_NN + at::eye(map_NN.size(0), map_NN.options()); }

// Vision tokens along one side of an image token.
int64_t tokens_along(int64_t num_cells, int64_t num_vision_tokens) {
  return static_cast<int64_t>(std::sqrt(double(num_vision_tokens) / double(num_cells)) + 1e-9);
}

}  // namespace

at::Tensor rollout_step(const at::Tensor& map) {
  at::Tensor step = with_identity(map.dim() == 3 ? map.mean(0) : map);
  return step / step.sum(1, /*keepdim=*/true);
}

at::Tensor relevancy_step(const at::Tensor& map_HNN, const at::Tensor& gradient_HNN) {
  return with_identity((gradient_HNN * map_HNN).clamp_min(0).mean(0));
}

at::Tensor walk_back(at::Tensor rows_RN, const std::vector<at::Tensor>& steps_NN) {
  for (size_t i = steps_NN.size(); i-- > 0;) rows_RN = at::matmul(rows_RN, steps_NN[i]);
  return rows_RN;
}

at::Tensor cells_to_vision(const at::Tensor& cells_RP, int64_t rows, int64_t columns, int64_t num_vision_tokens) {
  const int64_t r = cells_RP.size(0), side = tokens_along(rows * columns, num_vision_tokens);
  at::Tensor shared =
      (cells_RP / double(side * side)).view({r, rows, 1, columns, 1}).expand({r, rows, side, columns, side});
  const int64_t before = num_vision_tokens - rows * columns * side * side;
  return at::cat({at::zeros({r, before}, cells_RP.options()), shared.reshape({r, -1})}, 1);
}

at::Tensor vision_to_cells(const at::Tensor& vision_RN, int64_t rows, int64_t columns) {
  const int64_t side = tokens_along(rows * columns, vision_RN.size(1)), count = rows * columns * side * side;
  at::Tensor grid = vision_RN.narrow(1, vision_RN.size(1) - count, count).reshape({-1, rows, side, columns, side});
  return grid.sum({2, 4}).flatten(1);
}

std::vector<float> normalised_heatmap(const at::Tensor& weights_P) {
  at::Tensor weights = weights_P.detach().to(at::kDouble).cpu().contiguous();
  const double* data = weights.const_data_ptr<double>();
  std::vector<float> heatmap(weights.numel());
  double sum = 0;
  const auto usable = [](double w) { return std::isfinite(w) && w > 0 ? w : 0.0; };
  for (size_t i = 0; i < heatmap.size(); ++i) sum += usable(data[i]);
  const bool nothing = !(sum > 0) || !std::isfinite(sum);
  for (size_t i = 0; i < heatmap.size(); ++i) {
    heatmap[i] = static_cast<float>(nothing ? 1.0 / double(heatmap.size()) : usable(data[i]) / sum);
  }
  return heatmap;
}

}  // namespace sf
