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

struct LabelledBatch {
  ImageBatch images;
  LabelTensors labels;
};

LabelledBatch make_batch(const Task& task, size_t num_targets, ExampleRequest request, int64_t steps, int64_t index) {
  request.step = index;
  request.progress = double(index) / double(steps);
  const std::vector<Example> examples = task.encoder_examples(request);
  return {image_batch(examples), label_tensors(examples, num_targets)};
}

}  // namespace

bool pretrain_vit(Vit& vit, const VisionConfig& config, const Task& task, const PreprocessOptions& pre,
                  const PretrainOptions& options, const std::function<void(const PretrainReport&)>& report,
                  const std::function<bool()>& stop) {
  torch::manual_seed(options.seed);
  const std::vector<DenseTarget> targets = task.dense_targets();
  DenseHeads heads(config.width, targets);
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
  const ExampleRequest request{
      .pre = pre, .num_images = options.batch_size, .seed = options.seed, .label_size = config.token_size};
  Prefetcher<LabelledBatch> batches(
      [&](int64_t i) { return make_batch(task, targets.size(), request, options.steps, i); }, first,
      {.threads = options.data_threads, .depth = 4});
  auto started = std::chrono::steady_clock::now();
  int64_t since = 0;
  for (int64_t step = first; step < options.steps; ++step) {
    LabelledBatch batch = batches.next();
    const bool last = step + 1 == options.steps;
    const bool reporting = (step + 1) % options.report_every == 0 || last;
    DenseLoss loss = dense_loss(heads.forward(vit.patches(vit.encode(batch.images.pixels, batch.images.boxes))),
                                batch.labels, targets, reporting);
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
