// BYTES tensors in raw form: the first byte is how many elements are claimed. What is accepted is put together again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "server/kserve/bytes_tensor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const std::string_view raw(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  try {
    const auto elements = sf::server::split_bytes_tensor(raw, bytes[0], "T");
    if (elements.size() != bytes[0] || sf::server::join_bytes_tensor(elements) != raw) std::abort();
  } catch (const sf::Error&) {
  }
  return 0;
}
