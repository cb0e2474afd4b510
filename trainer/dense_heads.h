// Dense supervision of the vision encoder: what a task knows of every token, asked of the encoder's output by one
// linear layer. Phase 1 trains on it alone; phase 2 keeps it beside the answers, so that questions do not wash it out.
//
//   const std::vector<DenseTarget> targets = task.dense_targets();
//   DenseHeads heads(width, targets);
//   const LabelTensors labels = label_tensors(examples, targets.size());
//   DenseLoss loss = dense_loss(heads.forward(vit.forward(pixels, boxes)), labels, targets, false);
//
// One thread only.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "trainer/task.h"

namespace sf {

// The heads, thrown away afterwards: one linear layer for all targets.
class DenseHeads : public torch::nn::Module {
 public:
  DenseHeads(int64_t width, const std::vector<DenseTarget>& targets);
  // x_BNW -> [B, N, 2 + sum of classes]: objectness, whether the image is of the task, then the targets' logits.
  at::Tensor forward(const at::Tensor& x_BNW) const;

 private:
  at::Tensor weight_, bias_;
};

struct DenseLoss {
  at::Tensor loss;               // scalar
  std::vector<double> accuracy;  // of each target, at object tokens
  double object_accuracy = 0;
};

// TokenLabels of a batch as tensors.
struct LabelTensors {
  at::Tensor object_BN;  // f32 0/1
  at::Tensor in_task_B;  // f32 0/1
  at::Tensor classes;    // [targets, B, N] int64, -1 = unknown
};

// REQUIRES: every example has labels, all of one size, for `num_targets` targets.
LabelTensors label_tensors(const std::vector<Example>& examples, size_t num_targets);
DenseLoss dense_loss(const at::Tensor& logits, const LabelTensors& labels, const std::vector<DenseTarget>& targets,
                     bool with_accuracy);

}  // namespace sf
