#include "trainer/pretrain_vit.h"

#include <chrono>
#include <filesystem>
#include <numeric>

#include "engine/base/file.h"
#include "trainer/optimizer.h"
#include "trainer/prefetcher.h"
#include "trainer/training_state.h"

namespace sf {
namespace {

constexpr std::array<double, DenseHeads::kNumTargets> kWeights = {1, 1, 1, 0.5, 1, 0.5, 1, 1, 1};
constexpr double kObjectWeight = 3.0;
constexpr double kSceneWeight = 0.3;

constexpr int64_t kMaxStateBytes = int64_t{4} << 30;

// Beside the target and renamed: a kill leaves the old file or the new one.
void save(const std::string& path, const std::string& bytes) {
  write_file(path + ".tmp", bytes);
  std::filesystem::rename(path + ".tmp", path);
}

struct DenseBatch {
  PictureBatch pictures;
  DenseTargets targets;
};

// Few objects at first, then mostly six: the paper's number, and the hardest.
void set_object_range(data::SampleOptions& options, data::Rng& rng, double progress) {
  if (progress < 0.12) {
    options.min_objects = 2;
    options.max_objects = 6;
  } else {
    options.min_objects = rng.chance(0.65f) ? 6 : 1;
    options.max_objects = 6;
  }
}

DenseBatch make_batch(const data::SampleOptions& pictures, const PretrainOptions& options, int token_size, int64_t index) {
  data::Rng rng(options.seed, static_cast<uint64_t>(index));
  data::SampleOptions sample_options = pictures;
  set_object_range(sample_options, rng, double(index) / double(options.steps));
  const GridSize grid = data::draw_grid(rng, sample_options);
  std::vector<data::Sample> samples;
  for (int i = 0; i < options.batch_size; ++i) samples.push_back(data::make_sample(rng, grid, sample_options));
  return {picture_batch(samples), dense_targets(samples, token_size)};
}

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
        &labels.colour, &labels.shape, &labels.nearest_colour, &labels.nearest_shape, &labels.furthest_colour,
        &labels.furthest_shape, &labels.same_shape, &labels.left_right, &labels.top_bottom};
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
  if (with_accuracy) out.object_accuracy = object_logits.gt(0).eq(targets.object_BN.gt(0.5)).to(at::kFloat).mean().item<double>();
  return out;
}

void pretrain_vit(Vit& vit, const VisionConfig& config, const data::SampleOptions& pictures, const PretrainOptions& options,
                  const std::function<void(const PretrainReport&)>& report) {
  torch::manual_seed(options.seed);
  DenseHeads heads(config.width);
  torch::OrderedDict<std::string, at::Tensor> parameters = vit.named_parameters();
  for (const auto& item : heads.named_parameters()) parameters.insert("heads." + item.key(), item.value());
  OptimizerOptions optimizer_options;
  optimizer_options.learning_rate = options.learning_rate;
  optimizer_options.total_steps = options.steps;
  optimizer_options.rate_factor = [](const std::string& name) { return name.find("relative_bias") != std::string::npos ? 10.0 : 1.0; };
  Optimizer optimizer(parameters, optimizer_options);

  int64_t first = 0;
  const bool resumable = !options.checkpoint_path.empty();
  if (resumable && std::filesystem::exists(options.checkpoint_path)) {
    first = restore_training_state(read_file(options.checkpoint_path, kMaxStateBytes), parameters, optimizer);
  }
  Prefetcher<DenseBatch> batches([&](int64_t i) { return make_batch(pictures, options, config.token_size, i); }, first,
                                 {.threads = options.data_threads, .depth = 4});
  auto started = std::chrono::steady_clock::now();
  int64_t since = 0;
  for (int64_t step = first; step < options.steps; ++step) {
    DenseBatch batch = batches.next();
    const bool last = step + 1 == options.steps;
    const bool reporting = (step + 1) % options.report_every == 0 || last;
    DenseLoss loss = dense_loss(heads.forward(vit.forward(batch.pictures.pixels, batch.pictures.boxes)), batch.targets, reporting);
    loss.loss.backward();
    optimizer.step(step);
    ++since;
    if (reporting) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      report({step + 1, loss.loss.item<double>(), loss, double(since) * options.batch_size / std::max(seconds, 1e-9)});
      started = std::chrono::steady_clock::now();
      since = 0;
    }
    if (resumable && ((step + 1) % options.checkpoint_every == 0 || last)) {
      save(options.checkpoint_path, training_state_bytes(parameters, optimizer, step + 1));
    }
  }
}

}  // namespace sf
