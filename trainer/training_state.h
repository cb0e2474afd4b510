// What resume needs, as the bytes of one safetensors file: parameters, the optimizer's moments and the step.
//
//   const std::string saved = training_state_bytes(vlm.named_parameters(), optimizer, step);
//   const int64_t next_step = restore_training_state(saved, vlm.named_parameters(), optimizer);
//
// One thread only: the training thread.
#pragma once

#include <string>
#include <string_view>

#include <torch/torch.h>

#include "trainer/optimizer.h"

namespace sf {

std::string training_state_bytes(const torch::OrderedDict<std::string, at::Tensor>& parameters,
                                 const Optimizer& optimizer, int64_t step);

// Effect: copies into `parameters` and `optimizer`; returns the step to go on from. Errors: those of load_tensors.
int64_t restore_training_state(std::string_view bytes, const torch::OrderedDict<std::string, at::Tensor>& parameters,
                               Optimizer& optimizer);

}  // namespace sf
