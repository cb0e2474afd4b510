// Any bytes as a --config file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/toml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    std::set<std::pair<std::vector<std::string>, std::string>> seen;
    int line = 0;
    for (const sf::TomlEntry& entry : sf::parse_toml(text, "settings.toml")) {
      if (entry.line < line || !seen.emplace(entry.table, entry.key).second) std::abort();
      line = entry.line;
    }
  } catch (const sf::Error& error) {
    if (error.code() != sf::Code::kInvalidArgument) std::abort();
  }
  return 0;
}
