// Base64 (RFC 4648), strictly, in the forms in which it is written: the standard alphabet or the URL-safe one (not
// both), with or without padding, with or without line breaks (CR, LF); plain or in a data URI.
//
//   std::string bytes = decode_base64(text, max_bytes, "image");
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sf {

// Errors: InvalidArgument naming `field` and the character (counted from 1) for any other character, padding that does
// not fit, bits left over; ResourceExhausted/kTooLarge if the result would be larger than `max_bytes`, before anything
// is decoded.
std::string decode_base64(std::string_view text, size_t max_bytes, const std::string& field);

// Whether `text` begins like a data URI (RFC 2397). The scheme may be of any case.
bool is_data_uri(std::string_view text);

// What a data URI holds: "data:image/png;base64,....". The marker may be of any case; the media type is not looked at.
// REQUIRES: is_data_uri(text). Errors: InvalidArgument naming `field` if it is not base64; else as decode_base64.
std::string decode_data_uri(std::string_view text, size_t max_bytes, const std::string& field);

// In the standard alphabet, with padding, without line breaks.
std::string encode_base64(std::string_view bytes);

}  // namespace sf
