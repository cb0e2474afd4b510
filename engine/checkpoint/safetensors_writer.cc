#include "engine/checkpoint/safetensors_writer.h"

#include "engine/base/error.h"

namespace sf {

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::map<std::string, TensorLayout>& tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path) {
  SafetensorsHead head = safetensors_head(tensors, metadata);
  for (const auto& [name, tensor] : tensors) left_ += num_bytes(tensor);
  order_ = std::move(head.order);
  write(head.bytes);
}

void SafetensorsWriter::write(std::string_view bytes) {
  digest_.update(bytes);
  file_.append(bytes);
  written_ += static_cast<int64_t>(bytes.size());
}

void SafetensorsWriter::append(std::string_view bytes) {
  SF_CHECK(bytes.size() <= left_, "safetensors_writer: more elements than the header says");
  left_ -= bytes.size();
  write(bytes);
}

ManifestFile SafetensorsWriter::finish() {
  SF_CHECK(left_ == 0, "safetensors_writer: ", left_, " bytes of elements are missing");
  return {digest_.hex(), written_};
}

}  // namespace sf
