#include "trainer/dense_heads.h"

#include <cmath>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr double kObjectWeight = 3.0;
constexpr double kInTaskWeight = 0.3;

}  // namespace

DenseHeads::DenseHeads(int64_t width, const std::vector<DenseTarget>& targets) {
  int64_t outputs = 2;
  for (const DenseTarget& target : targets) outputs += target.classes;
  weight_ = register_parameter("weight", torch::randn({outputs, width}) / std::sqrt(double(width)));
  bias_ = register_parameter("bias", torch::zeros({outputs}));
}

at::Tensor DenseHeads::forward(const at::Tensor& x_BNW) const { return at::linear(x_BNW, weight_, bias_); }

LabelTensors label_tensors(const std::vector<Example>& examples, size_t num_targets) {
  SF_CHECK(!examples.empty() && examples.front().labels, "label_tensors: examples without labels");
  const int64_t batch = static_cast<int64_t>(examples.size());
  const int64_t n = int64_t{examples.front().labels->rows} * examples.front().labels->columns;
  LabelTensors out;
  out.object_BN = at::zeros({batch, n}, at::kFloat);
  out.in_task_B = at::zeros({batch}, at::kFloat);
  out.classes = at::empty({static_cast<int64_t>(num_targets), batch, n}, at::kLong);
  auto object = out.object_BN.accessor<float, 2>();
  auto classes = out.classes.accessor<int64_t, 3>();
  for (int64_t b = 0; b < batch; ++b) {
    const TokenLabels& labels = *examples[b].labels;
    SF_CHECK(static_cast<int64_t>(labels.object.size()) == n && labels.classes.size() == num_targets,
             "label_tensors: labels of another size, image ", b);
    out.in_task_B[b] = labels.in_task ? 1.0f : 0.0f;
    for (int64_t i = 0; i < n; ++i) {
      object[b][i] = labels.object[i] ? 1.0f : 0.0f;
      for (size_t t = 0; t < num_targets; ++t) classes[t][b][i] = labels.classes[t][i];
    }
  }
  return out;
}

DenseLoss dense_loss(const at::Tensor& logits, const LabelTensors& labels, const std::vector<DenseTarget>& targets,
                     bool with_accuracy) {
  DenseLoss out;
  out.accuracy.resize(targets.size());
  at::Tensor object_logits = logits.select(-1, 0);
  out.loss = kObjectWeight * at::binary_cross_entropy_with_logits(object_logits, labels.object_BN);
  at::Tensor in_task = labels.in_task_B.unsqueeze(1).expand_as(object_logits);
  out.loss = out.loss + kInTaskWeight * at::binary_cross_entropy_with_logits(logits.select(-1, 1), in_task);
  at::Tensor at_objects = labels.object_BN.flatten().nonzero().squeeze(1);
  at::Tensor rows = logits.flatten(0, 1).index_select(0, at_objects);
  int64_t offset = 2;
  for (size_t t = 0; t < targets.size(); ++t) {
    at::Tensor scores = rows.narrow(1, offset, targets[t].classes);
    at::Tensor wanted = labels.classes[static_cast<int64_t>(t)].flatten().index_select(0, at_objects);
    offset += targets[t].classes;
    if (wanted.numel() == 0 || wanted.max().item<int64_t>() < 0) continue;
    out.loss = out.loss + targets[t].weight * at::cross_entropy_loss(scores, wanted, {}, at::Reduction::Mean, -1);
    if (with_accuracy) {
      at::Tensor known = wanted.ge(0);
      out.accuracy[t] = (scores.argmax(1).eq(wanted) & known).sum().item<double>() / known.sum().item<double>();
    }
  }
  if (with_accuracy)
    out.object_accuracy = object_logits.gt(0).eq(labels.object_BN.gt(0.5)).to(at::kFloat).mean().item<double>();
  return out;
}

}  // namespace sf
