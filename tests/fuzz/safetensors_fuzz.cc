// Any bytes as a safetensors file: refused with DataLoss, or read into views that lie inside the bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const sf::Safetensors file = sf::Safetensors::parse(bytes, "fuzz");
    uint64_t covered = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      covered += tensor.bytes.size();
      const auto expected = static_cast<uint64_t>(sf::num_elements(tensor.shape)) * sf::dtype_size(tensor.dtype);
      if (expected != tensor.bytes.size()) std::abort();
    }
    if (covered > size) std::abort();
    // What was read can be written, and reads back the same.
    const std::string again = sf::write_safetensors(file.tensors(), file.metadata());
    const sf::Safetensors reread = sf::Safetensors::parse(again, "again");
    if (reread.tensors().size() != file.tensors().size() || reread.metadata() != file.metadata()) std::abort();
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kDataLoss && error.code() != sf::Code::kInvalidArgument) std::abort();
  }
  return 0;
}
