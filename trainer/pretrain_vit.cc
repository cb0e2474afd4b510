#include "trainer/pretrain_vit.h"

#include <chrono>
#include <filesystem>

#include "engine/base/file.h"
#include "trainer/optimizer.h"
#include "trainer/prefetcher.h"
#include "trainer/training_state.h"

namespace sf {
namespace {

constexpr int64_t kMaxPretrainStateBytes = int64_t{4} << 30;

// Beside the target and renamed: a kill leaves the old file or the new one.
void save(const std::string& path, const std::string& bytes) {
  write_file(path + ".tmp", bytes);
  std::filesystem::rename(path + ".tmp", path);
}

struct DenseBatch {
  ImageBatch images;
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

DenseBatch make_batch(const data::SampleOptions& images, const PretrainOptions& options, int token_size,
                      int64_t index) {
  data::Rng rng(options.seed, static_cast<uint64_t>(index));
  data::SampleOptions sample_options = images;
  set_object_range(sample_options, rng, double(index) / double(options.steps));
  const GridSize grid = data::draw_grid(rng, sample_options);
  std::vector<data::Sample> samples;
  for (int i = 0; i < options.batch_size; ++i) samples.push_back(data::make_sample(rng, grid, sample_options));
  return {image_batch(samples), dense_targets(samples, token_size)};
}

}  // namespace

bool pretrain_vit(Vit& vit, const VisionConfig& config, const data::SampleOptions& images,
                  const PretrainOptions& options, const std::function<void(const PretrainReport&)>& report,
                  const std::function<bool()>& stop) {
  torch::manual_seed(options.seed);
  DenseHeads heads(config.width);
  torch::OrderedDict<std::string, at::Tensor> parameters = vit.named_parameters();
  for (const auto& item : heads.named_parameters()) parameters.insert("heads." + item.key(), item.value());
  OptimizerOptions optimizer_options;
  optimizer_options.learning_rate = options.learning_rate;
  optimizer_options.total_steps = options.steps;
  optimizer_options.rate_factor = [](const std::string& name) {
    return name.find("relative_bias") != std::string::npos ? 10.0 : 1.0;
  };
  Optimizer optimizer(parameters, optimizer_options);

  int64_t first = 0;
  const bool resumable = !options.checkpoint_path.empty();
  if (resumable && std::filesystem::exists(options.checkpoint_path)) {
    first = restore_training_state(read_file(options.checkpoint_path, kMaxPretrainStateBytes), parameters, optimizer);
  }
  Prefetcher<DenseBatch> batches([&](int64_t i) { return make_batch(images, options, config.token_size, i); }, first,
                                 {.threads = options.data_threads, .depth = 4});
  auto started = std::chrono::steady_clock::now();
  int64_t since = 0;
  for (int64_t step = first; step < options.steps; ++step) {
    DenseBatch batch = batches.next();
    const bool last = step + 1 == options.steps;
    const bool reporting = (step + 1) % options.report_every == 0 || last;
    DenseLoss loss = dense_loss(heads.forward(vit.patches(vit.encode(batch.images.pixels, batch.images.boxes))),
                                batch.targets, reporting);
    loss.loss.backward();
    optimizer.step(step);
    ++since;
    if (reporting) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      report({step + 1, loss.loss.item<double>(), loss, double(since) * options.batch_size / std::max(seconds, 1e-9)});
      started = std::chrono::steady_clock::now();
      since = 0;
    }
    const bool stopped = !last && stop();
    if (resumable && ((step + 1) % options.checkpoint_every == 0 || last || stopped)) {
      save(options.checkpoint_path, training_state_bytes(parameters, optimizer, step + 1));
    }
    if (stopped) return false;
  }
  return true;
}

}  // namespace sf
