// An image as text: base64 or a data URI (engine/base/base64.h). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/base64.h"

namespace sf::server {

using sf::decode_base64;
using sf::encode_base64;

// "data:image/png;base64,...." or plain base64. The media type is not believed: the decoder sniffs the bytes.
// Errors: as decode_base64; InvalidArgument for a data URI that is not base64, and for a URL: nothing is fetched.
std::string decode_image_text(std::string_view text, size_t max_bytes, const std::string& field);

}  // namespace sf::server
