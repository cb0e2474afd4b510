// Dense supervision of the vision encoder: what the generator knows of every token, asked of the encoder's output by
// one linear layer. Phase 1 trains on it alone; phase 2 keeps it beside the answers, so that questions do not wash it
// out.
//
//   DenseLoss loss = dense_loss(heads.forward(vit.forward(pixels, boxes)), dense_targets(samples, token_size), false);
#pragma once

#include <array>
#include <vector>

#include <torch/torch.h>

#include "trainer/tasks/sort_of_clevr/dense_labels.h"

namespace sf {

// The heads, thrown away afterwards: one linear layer for all questions.
class DenseHeads : public torch::nn::Module {
 public:
  enum Target {
    kColour,
    kShape,
    kNearestColour,
    kNearestShape,
    kFurthestColour,
    kFurthestShape,
    kSameShape,
    kLeftRight,
    kTopBottom,
    kNumTargets
  };
  static constexpr std::array<int, kNumTargets> kClasses = {6, 2, 6, 2, 6, 2, 6, 2, 2};
  static constexpr std::array<const char*, kNumTargets> kNames = {"colour",        "shape",           "nearest_colour",
                                                                  "nearest_shape", "furthest_colour", "furthest_shape",
                                                                  "count",         "left_right",      "top_bottom"};

  explicit DenseHeads(int64_t width);
  // x_BNW -> [B, N, 2 + sum of classes]: objectness, whether the image is a scene, then the targets' logits.
  at::Tensor forward(const at::Tensor& x_BNW) const;

 private:
  at::Tensor weight_, bias_;
};

struct DenseLoss {
  at::Tensor loss;                                         // scalar
  std::array<double, DenseHeads::kNumTargets> accuracy{};  // at object tokens
  double object_accuracy = 0;
};

// Labels of a batch as tensors. targets [kNumTargets, B, N] int64, -1 = none.
struct DenseTargets {
  at::Tensor object_BN;  // f32 0/1
  at::Tensor scene_B;    // f32 0/1
  at::Tensor targets;
};

DenseTargets dense_targets(const std::vector<data::Sample>& samples, int token_size);
DenseLoss dense_loss(const at::Tensor& logits, const DenseTargets& targets, bool with_accuracy);

}  // namespace sf
