// The pickle of a PyTorch state_dict: names and places of tensors. A pickle is a program; this reads the few
// instructions that such a file needs and runs none of Python's: exactly the globals collections.OrderedDict,
// torch._utils._rebuild_tensor_v2 and torch's storages are known, each as a plain value. Everything else is refused.
//
//   std::map<std::string, PickledTensor> tensors = parse_state_dict(bytes_of_data_pkl, "model.pth");
//
// Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"

namespace sf {

struct PickledTensor {
  Dtype dtype = Dtype::kF32;
  std::string storage;  // key of its bytes beside the pickle
  int64_t storage_elements = 0;
  int64_t offset = 0;          // of its first element in the storage
  std::vector<int64_t> shape;  // row-major, without gaps
};

// Errors: DataLoss with `file_name` and the opcode's or global's name for anything but a dictionary of tensors, for a
// tensor that is not contiguous or reaches beyond its storage, and for a pickle that would take more than 64 times its
// length (and 64 KiB) in memory.
std::map<std::string, PickledTensor> parse_state_dict(std::string_view pickle, const std::string& file_name);

}  // namespace sf
