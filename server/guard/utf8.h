// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <string>
#include <string_view>

namespace sf::server {

bool is_valid_utf8(std::string_view bytes);

// Errors: InvalidArgument naming `field` if `bytes` are not well-formed.
void require_utf8(std::string_view bytes, const std::string& field);

}  // namespace sf::server
