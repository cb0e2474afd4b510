// Phase 1: the vision encoder alone, on what the task knows of every token. What it knows of relations is learned here,
// in the encoder, where a relative position bias makes distances easy; the decoder then only has to look it up.
//
//   const auto report = [](const PretrainReport& r) { std::cout << r.step << ": " << r.loss << '\n'; };
//   pretrain_vit(vit, config.vision, task, pre, {.steps = 6000}, report, [] { return stop_requested; });
//
// One thread only, which also calls `report` and `stop`; the batches are made by workers of its own.
#pragma once

#include <functional>
#include <string>

#include "engine/model/vit.h"
#include "trainer/dense_heads.h"
#include "trainer/image_batch.h"

namespace sf {

struct PretrainOptions {
  int64_t steps = 6000;
  int batch_size = 48;
  uint64_t seed = 1;
  double learning_rate = 1e-3;
  int data_threads = 1;
  int64_t report_every = 100;
  std::string checkpoint_path;  // file of the resumable state; empty = none
  int64_t checkpoint_every = 500;
};

struct PretrainReport {
  int64_t step = 0;
  double loss = 0;
  DenseLoss accuracy;  // of the last batch
  double images_per_second = 0;
};

// Effect: trains in place, until the last step or until `stop` gives true (looked at once a step; the state is then
// written). Resumes from options.checkpoint_path when that file exists, on the same stream of images. True if the
// last step was reached. REQUIRES: task.dense_targets() is not empty.
bool pretrain_vit(Vit& vit, const VisionConfig& config, const Task& task, const PreprocessOptions& pre,
                  const PretrainOptions& options, const std::function<void(const PretrainReport&)>& report,
                  const std::function<bool()>& stop);

}  // namespace sf
