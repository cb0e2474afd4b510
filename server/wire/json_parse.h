// JSON from a stranger: depth-capped, duplicate keys refused, and typed reads whose errors name the field.
//
//   nlohmann::json body = parse_json_object(text, json_limits(limits));
//   std::optional<std::string> question = get_string(body, "question");
//
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/json_builder.h"
#include "server/wire/limits.h"

namespace sf::server {

// Of a request's body.
JsonLimits json_limits(const RequestLimits& limits);

// Effect: parses one JSON object. The caller has capped the size. Thread-safe.
// Errors: InvalidArgument for anything but one well-formed object (invalid UTF-8, a key given twice, text after it) and
// beyond a limit.
nlohmann::json parse_json_object(std::string_view text, JsonLimits limits);
// The same with a request's limit on values.
nlohmann::json parse_json_object(std::string_view text, int max_depth);
// What has been built, if it is an object.
nlohmann::json finish_json_object(JsonBuilder& builder);

// The value of a known name; null if it is absent or null.
const nlohmann::json* find_value(const nlohmann::json& object, const std::string& name);

// Typed reads of a known name: nothing if it is absent or null.
// Errors: InvalidArgument naming it if it has another type.
std::optional<std::string> get_string(const nlohmann::json& object, const std::string& name);
// The string itself, for what may be long; null if there is none.
const std::string* find_string(const nlohmann::json& object, const std::string& name);
std::optional<bool> get_bool(const nlohmann::json& object, const std::string& name);
std::optional<double> get_number(const nlohmann::json& object, const std::string& name);
// Whole numbers only; 2.0 is one.
std::optional<int64_t> get_integer(const nlohmann::json& object, const std::string& name);
std::optional<uint64_t> get_unsigned(const nlohmann::json& object, const std::string& name);
// A string or an array of strings.
std::vector<std::string> get_strings(const nlohmann::json& object, const std::string& name);

}  // namespace sf::server
