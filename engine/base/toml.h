// The part of TOML that settings need: comments, [tables], `key = value` with strings, numbers, booleans and one-line
// arrays of them. What is outside of it is an error with its line, never skipped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf {

struct TomlEntry {
  std::vector<std::string> table;  // [a.b] -> {"a", "b"}
  std::string key;
  std::vector<std::string> values;  // one; or an array's, as text without quotes and escapes
  int line = 0;
};

// Errors: InvalidArgument "line N: ..." for syntax outside of the above, and for a key that is given twice.
std::vector<TomlEntry> parse_toml(std::string_view text);

}  // namespace sf
