// A state_dict as torch.save() writes it (.pth, .pt, pytorch_model.bin): a zip of one pickle and raw storages. Nothing
// in it is executed (pickle.h).
//
//   TorchFile source("seemore.pth");
//   source.read("decoder.lm_head.weight", 0, size, out);
//
// Immutable after construction; thread-safe.
#pragma once

#include <filesystem>

#include "engine/base/file.h"
#include "engine/checkpoint/tensor_source.h"

namespace sf {

class TorchFile : public TensorSource {
 public:
  // Effect: reads names and places. Errors: those of read_zip_directory and parse_state_dict; DataLoss where a storage
  // is missing, is shorter than the pickle says, or was written big-endian, and where the tensors have more than 8
  // times the file's bytes.
  explicit TorchFile(const std::filesystem::path& path);
  const std::map<std::string, TensorLayout>& tensors() const override { return tensors_; }
  void read(const std::string& name, int64_t begin, int64_t size, char* out) const override;

 private:
  RandomAccessFile file_;
  std::map<std::string, TensorLayout> tensors_;
  std::map<std::string, int64_t> begin_;  // of each tensor in the file
};

}  // namespace sf
