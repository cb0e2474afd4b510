// Phase 1: the vision encoder alone, on what the generator knows of every token: is an object centred here; its colour
// and shape; the nearest and the furthest object's colour and shape; how many share its shape; left or right; top or
// bottom. Relations are learned here, in the encoder, where a relative position bias makes distances easy; the decoder
// then only has to look them up.
//
//   pretrain_vit(vit, config, images, options, [](const PretrainReport& r) { ... }, [] { return stop_requested; });
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
// last step was reached.
bool pretrain_vit(Vit& vit, const VisionConfig& config, const data::SampleOptions& images,
                  const PretrainOptions& options, const std::function<void(const PretrainReport&)>& report,
                  const std::function<bool()>& stop);

}  // namespace sf
