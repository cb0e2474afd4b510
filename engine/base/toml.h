// A TOML 1.0 file of settings, read by toml++ and flattened: every key with its tables, its values as text, its line.
//
//   for (const TomlEntry& entry : parse_toml(text, "settings.toml")) set_option(entry.key, entry.values);
//
// Thread-safe: free functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

struct TomlEntry {
  std::vector<std::string> table;  // [a.b] or a dotted key a.b.key -> {"a", "b"}
  std::string key;
  std::vector<std::string> values;  // one, or an array's; strings without quotes and escapes, numbers in decimal
  int line = 0;                     // where the key stands, from 1
};

inline constexpr size_t kMaxTomlBytes = 256 << 10;
inline constexpr size_t kMaxTomlDepth = 16;  // names of one dotted key; arrays and inline tables inside each other

// Returns the entries in the file's order. Errors: InvalidArgument "NAME: line N: ...", with the key where there is
// one, for what is not TOML, a key given twice, a larger or deeper file than above, and what no flag can take: dates,
// arrays inside arrays, arrays of tables.
std::vector<TomlEntry> parse_toml(std::string_view text, const std::string& name);

}  // namespace sf
