// SHA-256 (FIPS 180-4) as 64 lower-case hex digits.
#pragma once

#include <string>
#include <string_view>

namespace sf {

std::string sha256_hex(std::string_view bytes);

// Whether `text` looks like what sha256_hex returns.
bool is_sha256_hex(std::string_view text);

}  // namespace sf
