// Strict base64 (RFC 4648 section 4: standard alphabet, padding required, nothing else) and data URIs.
#pragma once

#include <string>
#include <string_view>

namespace sf::server {

// Thread-safe. Errors: InvalidArgument naming `field` for a character outside the alphabet, wrong padding or non-zero
// spare bits; ResourceExhausted/kTooLarge if the result would be larger than `max_bytes` (before anything is decoded).
std::string decode_base64(std::string_view text, size_t max_bytes, const std::string& field);

// Whether `text` begins like one. The scheme may be of any case (RFC 3986).
bool is_data_uri(std::string_view text);

// "data:image/png;base64,...." or plain base64. The media type is not believed: the decoder sniffs the bytes.
// Errors: as decode_base64; InvalidArgument for a data URI that is not base64, and for a URL: nothing is fetched.
std::string decode_image_text(std::string_view text, size_t max_bytes, const std::string& field);

std::string encode_base64(std::string_view bytes);

}  // namespace sf::server
