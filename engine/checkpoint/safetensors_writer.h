// A safetensors file written piece by piece, hashed as it is written: the memory it takes does not grow with the file.
//
//   SafetensorsWriter writer(path, {{"w", {Dtype::kF32, {2, 3}}}}, {{"format", "pt"}});
//   for (const std::string& name : writer.order()) writer.append(elements_of(name));   // in pieces of any size
//   ManifestFile written = writer.finish();
//
// One thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.h"
#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/sha256.h"

namespace sf {

class SafetensorsWriter {
 public:
  // Effect: creates or replaces the file and writes its header. Errors: those of safetensors_head and OutputFile.
  SafetensorsWriter(const std::filesystem::path& path, const std::map<std::string, TensorLayout>& tensors,
                    const std::map<std::string, std::string>& metadata = {});
  // The tensors in the order in which their elements must come.
  const std::vector<std::string>& order() const { return order_; }
  // Effect: the next bytes of the elements. Errors: Internal for more bytes than the tensors have.
  void append(std::string_view bytes);
  // Errors: Internal where elements are missing.
  ManifestFile finish();

 private:
  void write(std::string_view bytes);

  std::vector<std::string> order_;
  OutputFile file_;
  Sha256 digest_;
  int64_t written_ = 0;
  uint64_t left_ = 0;
};

}  // namespace sf
