#include "engine/base/strict_json.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/base/json_builder.h"

namespace sf {
namespace {

using Json = nlohmann::json;

template <typename... Args>
[[noreturn]] void fail(const std::string& name, const std::string& key, const Args&... reason) {
  throw invalid_argument(key, name, ": ", reason...);
}

}  // namespace

Json parse_strict_json(std::string_view text, const std::string& name, int max_depth) {
  JsonBuilder builder(name, {.max_depth = max_depth});
  builder.feed(text);
  return builder.finish();
}

const Json& json_member(const Json& object, const std::string& key, const std::string& name) {
  if (!object.is_object()) fail(name, key, "expected an object");
  const auto found = object.find(key);
  if (found == object.end()) fail(name, key, "'", key, "' is missing");
  return *found;
}

int64_t json_int(const Json& object, const std::string& key, int64_t min, int64_t max, const std::string& name) {
  const Json& value = json_member(object, key, name);
  if (!value.is_number_integer()) fail(name, key, "'", key, "' must be an integer");
  // An unsigned value above the signed range would wrap, so it is compared as what it is.
  const bool above = value.is_number_unsigned() && std::cmp_greater(value.get<uint64_t>(), max);
  if (above || value.get<int64_t>() < min || value.get<int64_t>() > max) {
    fail(name, key, "'", key, "' must be from ", min, " to ", max);
  }
  return value.get<int64_t>();
}

double json_number(const Json& object, const std::string& key, const std::string& name) {
  const Json& value = json_member(object, key, name);
  if (!value.is_number()) fail(name, key, "'", key, "' must be a number");
  return value.get<double>();
}

std::string json_string(const Json& object, const std::string& key, const std::string& name) {
  const Json& value = json_member(object, key, name);
  if (!value.is_string()) fail(name, key, "'", key, "' must be a string");
  return value.get<std::string>();
}

}  // namespace sf
