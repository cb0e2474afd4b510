// Examples of one grid as the tensors that the vision encoder takes.
//
//   const ImageBatch batch = image_batch(examples);
//   const at::Tensor features = vit.forward(batch.pixels, batch.boxes);
//
// Pure functions.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "engine/model/vit.h"
#include "trainer/task.h"

namespace sf {

struct ImageBatch {
  at::Tensor pixels;  // [B, 3, height, width], normalised
  std::vector<ImageBox> boxes;
};

// REQUIRES: all examples share one grid, and there is at least one.
ImageBatch image_batch(const std::vector<Example>& examples);

}  // namespace sf
