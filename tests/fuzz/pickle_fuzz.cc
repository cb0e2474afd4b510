// Any bytes as the pickle of a state_dict: refused with DataLoss, or read into tensors that lie inside their storages.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/import/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const auto& [name, tensor] : sf::parse_state_dict({reinterpret_cast<const char*>(data), size}, "fuzz")) {
      int64_t elements = 1;
      for (const int64_t side : tensor.shape) elements *= side;
      if (elements < 0 || tensor.offset < 0 || tensor.offset + elements > tensor.storage_elements) std::abort();
    }
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kDataLoss) std::abort();
  }
  return 0;
}
