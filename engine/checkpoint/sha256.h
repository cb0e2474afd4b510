// SHA-256 (FIPS 180-4): 32 bytes, or the same as 64 lower-case hex digits.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sf {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest sha256(std::string_view bytes);

std::string sha256_hex(std::string_view bytes);

// Whether `text` looks like what sha256_hex returns.
bool is_sha256_hex(std::string_view text);

}  // namespace sf
