// Any bytes as an --api-keys file, and then as an Authorization header against the keys that it holds.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth/api_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    const std::vector<sf::server::ApiKey> keys = sf::server::parse_api_keys(text);
    for (const sf::server::ApiKey& key : keys) {
      const bool hex =
          std::all_of(key.sha256.begin(), key.sha256.end(), [](unsigned char c) { return std::isxdigit(c); });
      if (key.name.empty() || key.name.size() > 64 || key.sha256.size() != 64 || !hex) std::abort();
      if (!(key.requests_per_minute >= 0)) std::abort();
    }
    // A file can hold no key whose digest its own text has: nobody is let in.
    const sf::server::KeyRing ring(keys, [] { return 0.0; });
    if (!ring.name_of(text).empty()) std::abort();
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kInvalidArgument || error.field() != "api-keys") std::abort();
  }
  return 0;
}
