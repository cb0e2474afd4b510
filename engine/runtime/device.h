// --device: where an engine's tensors live.
//
//   const at::Device device = choose_device("auto");
//
// Thread-safe: a free function.
#pragma once

#include <string>

#include <torch/torch.h>

namespace sf {

// `name` is auto (the first GPU where there is one), cpu, cuda or cuda:N.
// Errors: InvalidArgument (field "device") for any other, and for a GPU that is not there.
at::Device choose_device(const std::string& name);

}  // namespace sf
