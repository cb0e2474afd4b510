// RFC 4648 base64, standard alphabet.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sf::data {

std::string encode_base64(std::string_view bytes);

// Effect: decodes, with or without padding; white space is skipped. Nothing for any other character, wrong padding or
// bits left over.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace sf::data
