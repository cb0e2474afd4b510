// The tensors of a Hugging Face directory: model.safetensors, or the shards that model.safetensors.index.json lists.
// Headers are read when it is opened (through a mapping, which is dropped at once), elements when they are asked for.
//
//   ShardedTensors source(directory);
//   const int64_t size = num_bytes(source.tensors().at("lm_head.weight"));
//   std::vector<char> elements(size);
//   source.read("lm_head.weight", 0, size, elements.data());
//
// Immutable after construction; thread-safe.
#pragma once

#include <filesystem>
#include <vector>

#include "engine/base/file.h"
#include "engine/checkpoint/tensor_source.h"

namespace sf {

class ShardedTensors : public TensorSource {
 public:
  // Errors: NotFound where the directory has neither file; InvalidArgument for an index that is none, that names a file
  // outside the directory, or that puts a tensor where it is not; DataLoss (with the file) as Safetensors::parse.
  explicit ShardedTensors(const std::filesystem::path& directory);
  // One file. Errors: as above.
  static ShardedTensors of_file(const std::filesystem::path& file);

  const std::map<std::string, TensorLayout>& tensors() const override { return tensors_; }
  void read(const std::string& name, int64_t begin, int64_t size, char* out) const override;
  int num_files() const { return static_cast<int>(files_.size()); }

 private:
  struct Place {
    size_t file;
    int64_t offset;
  };
  ShardedTensors() = default;
  // Effect: adds the file's tensors; returns their names.
  std::vector<std::string> add_file(const std::filesystem::path& path);
  void add_shards(const std::filesystem::path& directory, const std::string& index);

  std::vector<RandomAccessFile> files_;
  std::map<std::string, TensorLayout> tensors_;
  std::map<std::string, Place> places_;
};

}  // namespace sf
