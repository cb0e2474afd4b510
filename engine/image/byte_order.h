// Unaligned little-endian and big-endian integers read from a byte string. Pure functions.
// REQUIRES: the bytes exist; callers check ranges first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sf {

inline uint32_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

inline uint32_t le16(std::string_view bytes, size_t at) { return byte_at(bytes, at) | byte_at(bytes, at + 1) << 8; }
inline uint32_t le32(std::string_view bytes, size_t at) { return le16(bytes, at) | le16(bytes, at + 2) << 16; }
inline uint32_t le24(std::string_view bytes, size_t at) { return le16(bytes, at) | byte_at(bytes, at + 2) << 16; }
inline uint32_t be16(std::string_view bytes, size_t at) { return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1); }
inline uint32_t be32(std::string_view bytes, size_t at) { return be16(bytes, at) << 16 | be16(bytes, at + 2); }

}  // namespace sf
