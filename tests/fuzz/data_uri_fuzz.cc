// A picture as text: base64 or a data URI. What plain base64 decodes to encodes to the same text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "server/guard/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    sf::server::decode_image_text(text, 4096, "image");
  } catch (const sf::Error&) {
  }
  try {
    const std::string decoded = sf::server::decode_base64(text, 4096, "image");
    if (decoded.size() > 4096 || sf::server::encode_base64(decoded) != text) std::abort();
  } catch (const sf::Error&) {
  }
  return 0;
}
