// The body of POST /v1/chat/completions, its data URIs included.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "server/http/chat_request.h"
#include "server/wire/json_parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  sf::server::RequestLimits limits;
  limits.max_image_bytes = 4096;
  try {
    const std::string_view body(reinterpret_cast<const char*>(bytes), size);
    sf::server::read_chat_request(sf::server::parse_json_object(body, sf::server::json_limits(limits)), limits);
  } catch (const sf::Error&) {
  }
  return 0;
}
