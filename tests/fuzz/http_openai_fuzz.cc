// The body of POST /v1/chat/completions, its data URIs included.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "server/http/chat_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  sf::server::RequestLimits limits;
  limits.max_image_bytes = 4096;
  try {
    sf::server::read_chat_request({reinterpret_cast<const char*>(bytes), size}, limits);
  } catch (const sf::Error&) {
  }
  return 0;
}
