// Named tensors in some file that are read piece by piece: one or many safetensors files (sharded_tensors.h), or a
// PyTorch file (torch_file.h). Checkpoint conversion reads through this, so that its memory does not grow with the
// checkpoint. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/checkpoint/safetensors.h"

namespace sf {

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual const std::map<std::string, TensorLayout>& tensors() const = 0;
  // Effect: fills `out` with bytes [begin, begin + size) of the tensor's row-major little-endian elements. Errors:
  // DataLoss where the file has changed. REQUIRES: the tensor exists and has those bytes.
  virtual void read(const std::string& name, int64_t begin, int64_t size, char* out) const = 0;
};

}  // namespace sf
