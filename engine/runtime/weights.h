// Parameters of a model <-> model.safetensors. Names are the modules' paths ("decoder.block0.attention.q_proj").
//
//   const std::string file_bytes = serialize_tensors(vlm.named_parameters());
//   load_tensors(file_bytes, "model.safetensors", vlm.named_parameters());
//
// Thread-safe: free functions. No other thread may use the parameters that load_tensors() changes.
#pragma once

#include <string>
#include <string_view>

#include <torch/torch.h>

#include "engine/checkpoint/safetensors.h"

namespace sf {

// Effect: the file's bytes; f32 and i64 tensors.
std::string serialize_tensors(const torch::OrderedDict<std::string, at::Tensor>& tensors);

// Effect: copies every tensor of the file into the parameter of that name; f16 and bf16 become f32. Errors:
// InvalidArgument naming the tensor that is missing, left over, of another shape or dtype; the safetensors reader's
// own, with `file_name`. With a `prefix` the file's tensors whose names begin otherwise are left alone.
void load_tensors(std::string_view file_bytes, const std::string& file_name,
                  const torch::OrderedDict<std::string, at::Tensor>& parameters, const std::string& prefix = "");

}  // namespace sf
