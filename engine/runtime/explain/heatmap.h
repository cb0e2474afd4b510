// Attention maps -> weights over the image's cells. Pure functions.
//
//   at::Tensor weights_RP = walk_back(rows_RN, steps_NN).narrow(1, span.begin, span.count);
//   std::vector<float> heatmap = normalised_heatmap(weights_RP[0]);
//
// A walk goes from an answer row of the last layer back to the first: rows <- rows * step of each layer, where a step
// is the map with the residual. Through the vision encoder it goes on from the image tokens to the vision tokens.
#pragma once

#include <vector>

#include <torch/torch.h>

namespace sf {

// rownorm(mean_h A + I): a step of attention rollout. map [H, N, N] or a mean [N, N].
at::Tensor rollout_step(const at::Tensor& map);
// I + mean_h (gradient * A)^+: a step of relevancy. Both [H, N, N].
at::Tensor relevancy_step(const at::Tensor& map_HNN, const at::Tensor& gradient_HNN);

// rows_RN times the steps, last layer first.
at::Tensor walk_back(at::Tensor rows_RN, const std::vector<at::Tensor>& steps_NN);

// Image tokens <-> vision tokens: an image token's weight is shared evenly by the side x side vision tokens it was made
// of, and collected from them. Vision tokens that stand before the image's (a class token) get none and give none.
at::Tensor cells_to_vision(const at::Tensor& cells_RP, int64_t rows, int64_t columns, int64_t num_vision_tokens);
at::Tensor vision_to_cells(const at::Tensor& vision_RN, int64_t rows, int64_t columns);

// One heatmap: negative and non-finite weights count as 0, the sum becomes 1; even where there is nothing.
std::vector<float> normalised_heatmap(const at::Tensor& weights_P);

}  // namespace sf
