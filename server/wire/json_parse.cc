#include "server/wire/json_parse.h"

#include <cmath>
#include <limits>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using nlohmann::json;

// The value of `name`, or nullptr if it is absent or null.
[[noreturn]] void throw_type(const std::string& name, const char* expected, const json& value) {
  throw invalid_argument(name, name, ": must be ", expected, ", got ", value.type_name());
}

}  // namespace

const json* find_value(const json& object, const std::string& name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

JsonLimits json_limits(const RequestLimits& limits) {
  return {.max_depth = limits.max_json_depth, .max_values = limits.max_json_values};
}

json parse_json_object(std::string_view text, int max_depth) {
  return parse_json_object(text, {.max_depth = max_depth, .max_values = RequestLimits().max_json_values});
}

json parse_json_object(std::string_view text, JsonLimits limits) {
  JsonBuilder builder("body", limits);
  builder.feed(text);
  return finish_json_object(builder);
}

json finish_json_object(JsonBuilder& builder) {
  json value = builder.finish();
  if (!value.is_object()) throw invalid_argument("", "body: must be a JSON object, got ", value.type_name());
  return value;
}

const std::string* find_string(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value == nullptr) return nullptr;
  if (!value->is_string()) throw_type(name, "a string", *value);
  return value->get_ptr<const std::string*>();
}

std::optional<std::string> get_string(const json& object, const std::string& name) {
  const std::string* text = find_string(object, name);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<bool> get_bool(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) throw_type(name, "true or false", *value);
  return value->get<bool>();
}

std::optional<double> get_number(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) throw_type(name, "a number", *value);
  return value->get<double>();
}

std::optional<int64_t> get_integer(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) throw_type(name, "an integer", *value);
  if (value->is_number_unsigned() &&
      value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    throw invalid_argument(name, name, ": out of range");
  }
  if (value->is_number_integer()) return value->get<int64_t>();
  const double number = value->get<double>();
  // 2^53: beyond it a double no longer names one whole number.
  if (std::trunc(number) != number || std::abs(number) > 9007199254740992.0) throw_type(name, "an integer", *value);
  return static_cast<int64_t>(number);
}

std::optional<uint64_t> get_unsigned(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value != nullptr && value->is_number_unsigned()) return value->get<uint64_t>();
  const std::optional<int64_t> number = get_integer(object, name);
  if (!number) return std::nullopt;
  if (*number < 0) throw invalid_argument(name, name, ": must not be negative, got ", *number);
  return static_cast<uint64_t>(*number);
}

std::vector<std::string> get_strings(const json& object, const std::string& name) {
  const json* value = find_value(object, name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) throw_type(name, "a string or an array of strings", *value);
  std::vector<std::string> strings;
  for (const json& item : *value) {
    if (!item.is_string()) throw_type(name, "an array of strings", item);
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

}  // namespace sf::server
