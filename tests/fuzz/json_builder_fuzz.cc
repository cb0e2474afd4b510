// One JSON text, cut into pieces of the size that the first byte says. What is taken is what the library takes of the
// whole text, with the same value; what is refused by name (duplicate keys, limits) is left out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/error.h"
#include "engine/base/json_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const size_t piece_size = std::max<size_t>(bytes[0], 1);
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  std::optional<nlohmann::json> value;
  bool not_json = false;
  try {
    sf::JsonBuilder builder("body", {.max_depth = 32});
    for (size_t at = 0; at < text.size(); at += piece_size) builder.feed(text.substr(at, piece_size));
    value = builder.finish();
  } catch (const sf::Error& error) {
    not_json = std::string_view(error.what()).starts_with("body: not JSON");
  }
  if (!value && !not_json) return 0;
  // The library takes a NUL for the end of the text, and numbers of any length.
  if (text.find('\0') != std::string_view::npos || text.size() > 1024) return 0;
  const nlohmann::json expected = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.has_value() == expected.is_discarded()) std::abort();
  if (value && *value != expected) std::abort();
  return 0;
}
