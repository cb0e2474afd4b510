// Phase 1: the vision encoder alone, on what the generator knows of every token: is an object centred here; its colour and
// shape; the nearest and the furthest object's colour and shape; how many share its shape; left or right; top or bottom.
// Relations are learned here, in the encoder, where a relative position bias makes distances easy; the decoder then only
// has to look them up.
//
//   pretrain_vit(vit, options, [](const PretrainReport& r) { ... });
#pragma once

#include <array>
#include <functional>
#include <string>

#include "engine/model/vit.h"
#include "trainer/data/dense_labels.h"
#include "trainer/picture_batch.h"

namespace sf {

// The heads, thrown away afterwards: one linear layer for all questions.
class DenseHeads : public torch::nn::Module {
 public:
  enum Target { kColour, kShape, kNearestColour, kNearestShape, kFurthestColour, kFurthestShape, kSameShape, kLeftRight,
                kTopBottom, kNumTargets };
  static constexpr std::array<int, kNumTargets> kClasses = {6, 2, 6, 2, 6, 2, 6, 2, 2};
  static constexpr std::array<const char*, kNumTargets> kNames = {
      "colour", "shape", "nearest_colour", "nearest_shape", "furthest_colour", "furthest_shape", "count", "left_right",
      "top_bottom"};

  explicit DenseHeads(int64_t width);
  // x_BNW -> [B, N, 2 + sum of classes]: objectness, whether the picture is a scene, then the targets' logits.
  at::Tensor forward(const at::Tensor& x_BNW) const;

 private:
  at::Tensor weight_, bias_;
};

struct DenseLoss {
  at::Tensor loss;                                        // scalar
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

struct PretrainOptions {
  int64_t steps = 6000;
  int batch_size = 48;
  uint64_t seed = 1;
  double learning_rate = 1e-3;
  int data_threads = 1;
  int64_t report_every = 100;
  std::string checkpoint_path;       // file of the resumable state; empty = none
  int64_t checkpoint_every = 500;
};

struct PretrainReport {
  int64_t step = 0;
  double loss = 0;
  DenseLoss accuracy;                // of the last batch
  double pictures_per_second = 0;
};

// Effect: trains in place. Resumes from options.checkpoint_path when that file exists, on the same stream of pictures.
void pretrain_vit(Vit& vit, const VisionConfig& config, const data::SampleOptions& pictures, const PretrainOptions& options,
                  const std::function<void(const PretrainReport&)>& report);

}  // namespace sf
