// An image as text: base64 or a data URI. What plain base64 decodes to encodes to the same text, but for line breaks,
// padding and the alphabet.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "server/wire/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    sf::server::decode_image_text(text, 4096, "image");
  } catch (const sf::Error&) {
  }
  try {
    const std::string decoded = sf::decode_base64(text, 4096, "image");
    std::string digits;
    for (const char c : text) {
      if (c != '\r' && c != '\n' && c != '=') digits += c == '-' ? '+' : c == '_' ? '/' : c;
    }
    const std::string again = sf::encode_base64(decoded);
    if (decoded.size() > 4096 || again.substr(0, again.find('=')) != digits) std::abort();
  } catch (const sf::Error&) {
  }
  return 0;
}
