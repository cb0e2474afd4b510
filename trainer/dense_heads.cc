#include "trainer/dense_heads.h"

#include <cmath>
#include <numeric>

namespace sf {
namespace {

constexpr std::array<double, DenseHeads::kNumTargets> kWeights = {1, 1, 1, 0.5, 1, 0.5, 1, 1, 1};
constexpr double kObjectWeight = 3.0;
constexpr double kSceneWeight = 0.3;

}  // namespace

DenseHeads::DenseHeads(int64_t width) {
  const int64_t outputs = 2 + std::accumulate(kClasses.begin(), kClasses.end(), 0);
  weight_ = register_parameter("weight", torch::randn({outputs, width}) / std::sqrt(double(width)));
  bias_ = register_parameter("bias", torch::zeros({outputs}));
}

at::Tensor DenseHeads::forward(const at::Tensor& x_BNW) const { return at::linear(x_BNW, weight_, bias_); }

DenseTargets dense_targets(const std::vector<data::Sample>& samples, int token_size) {
  DenseTargets out;
  const int64_t batch = static_cast<int64_t>(samples.size());
  for (int64_t b = 0; b < batch; ++b) {
    const data::DenseLabels labels = data::dense_labels(samples[b], token_size);
    const int64_t n = int64_t{labels.rows} * labels.columns;
    if (b == 0) {
      out.object_BN = at::zeros({batch, n}, at::kFloat);
      out.scene_B = at::zeros({batch}, at::kFloat);
      out.targets = at::empty({DenseHeads::kNumTargets, batch, n}, at::kLong);
    }
    auto object = out.object_BN.accessor<float, 2>();
    auto targets = out.targets.accessor<int64_t, 3>();
    out.scene_B[b] = samples[b].is_scene ? 1.0f : 0.0f;
    const std::array<const std::vector<int>*, DenseHeads::kNumTargets> sources = {
        &labels.colour,        &labels.shape,           &labels.nearest_colour,
        &labels.nearest_shape, &labels.furthest_colour, &labels.furthest_shape,
        &labels.same_shape,    &labels.left_right,      &labels.top_bottom};
    for (int64_t i = 0; i < n; ++i) {
      object[b][i] = labels.object[i] >= 0 ? 1.0f : 0.0f;
      for (int t = 0; t < DenseHeads::kNumTargets; ++t) {
        const int label = (*sources[t])[i];
        targets[t][b][i] = t == DenseHeads::kSameShape && label > 0 ? label - 1 : label;
      }
    }
  }
  return out;
}

DenseLoss dense_loss(const at::Tensor& logits, const DenseTargets& targets, bool with_accuracy) {
  DenseLoss out;
  at::Tensor object_logits = logits.select(-1, 0);
  out.loss = kObjectWeight * at::binary_cross_entropy_with_logits(object_logits, targets.object_BN);
  at::Tensor scene = targets.scene_B.unsqueeze(1).expand_as(object_logits);
  out.loss = out.loss + kSceneWeight * at::binary_cross_entropy_with_logits(logits.select(-1, 1), scene);
  at::Tensor at_objects = targets.object_BN.flatten().nonzero().squeeze(1);
  at::Tensor rows = logits.flatten(0, 1).index_select(0, at_objects);
  int64_t offset = 2;
  for (int t = 0; t < DenseHeads::kNumTargets; ++t) {
    at::Tensor scores = rows.narrow(1, offset, DenseHeads::kClasses[t]);
    at::Tensor labels = targets.targets[t].flatten().index_select(0, at_objects);
    offset += DenseHeads::kClasses[t];
    if (labels.numel() == 0 || labels.max().item<int64_t>() < 0) continue;
    out.loss = out.loss + kWeights[t] * at::cross_entropy_loss(scores, labels, {}, at::Reduction::Mean, -1);
    if (with_accuracy) {
      at::Tensor known = labels.ge(0);
      out.accuracy[t] = (scores.argmax(1).eq(labels) & known).sum().item<double>() / known.sum().item<double>();
    }
  }
  if (with_accuracy)
    out.object_accuracy = object_logits.gt(0).eq(targets.object_BN.gt(0.5)).to(at::kFloat).mean().item<double>();
  return out;
}

}  // namespace sf
