// Tensors of floats in files and out of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/checkpoint/convert_elements.h"
#include "engine/checkpoint/safetensors_writer.h"
#include "engine/checkpoint/tensor_source.h"

namespace sf::fixtures {

// A safetensors file of vectors of F32.
inline void write_floats(const std::filesystem::path& path, const std::map<std::string, std::vector<float>>& tensors) {
  std::map<std::string, TensorView> views;
  for (const auto& [name, values] : tensors) {
    views[name] = {Dtype::kF32,
                   {static_cast<int64_t>(values.size())},
                   {reinterpret_cast<const char*>(values.data()), 4 * values.size()}};
  }
  write_file(path, write_safetensors(views));
}

inline std::vector<float> read_floats(const TensorSource& source, const std::string& name) {
  const TensorLayout& layout = source.tensors().at(name);
  std::string bytes(num_bytes(layout), '\0');
  source.read(name, 0, static_cast<int64_t>(bytes.size()), bytes.data());
  return to_floats(bytes, layout.dtype);
}

}  // namespace sf::fixtures
