// Names that the examples of every room use without declaring them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace sf::examples {

namespace fs = std::filesystem;

template <typename... T>
void use(const T&...);

extern const std::string bytes, raw;
extern std::string text;
extern const fs::path directory, path, root, store;

}  // namespace sf::examples
