#include "server/http/header_parameter.h"

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"

namespace sf::server {
namespace {

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

// Takes a value off the front of `rest`, up to the ';' behind it.
std::string take_value(std::string_view& rest) {
  while (rest.starts_with(' ') || rest.starts_with('\t')) rest.remove_prefix(1);
  std::string value;
  if (!rest.starts_with('"')) {
    const size_t end = std::min(rest.find(';'), rest.size());
    value = trim(rest.substr(0, end));
    rest.remove_prefix(end);
    return value;
  }
  size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    // A backslash before anything else stands for itself: file names of Windows are sent so.
    const bool escape = rest[at] == '\\' && at + 1 < rest.size() && (rest[at + 1] == '"' || rest[at + 1] == '\\');
    value += rest[escape ? ++at : at];
  }
  rest.remove_prefix(std::min(rest.find(';', at), rest.size()));
  return value;
}

}  // namespace

std::string header_value_name(std::string_view header) { return lower(trim(header.substr(0, header.find(';')))); }

std::optional<std::string> header_parameter(std::string_view header, std::string_view name) {
  std::optional<std::string> result;
  header.remove_prefix(std::min(header.find(';'), header.size()));
  while (!header.empty()) {
    header.remove_prefix(1);  // ';'
    const size_t end = header.find_first_of("=;");
    const std::string_view found = trim(header.substr(0, end));
    header.remove_prefix(std::min(end, header.size()));
    if (!header.starts_with('=')) continue;
    header.remove_prefix(1);
    std::string value = take_value(header);
    if (lower(found) != name) continue;
    if (result) throw invalid_argument(std::string(name), name, ": stands twice in one header");
    result = std::move(value);
  }
  return result;
}

}  // namespace sf::server
