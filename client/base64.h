// Base64 of RFC 4648 section 4, strictly.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sf::client {

// Nothing if `text` is not base64.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace sf::client
