// JSON from strangers: no duplicate keys, no invalid UTF-8, bounded depth, nothing behind the value.
//
//   nlohmann::json config = parse_strict_json(text, "config.json");
//   const int64_t width = json_int(config, "width", 1, 1 << 20, "config.json");
//
// Thread-safe: free functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sf {

// Errors: InvalidArgument whose message starts with `name`, for anything that is not one strict JSON value of at most
// `max_depth` nested objects and arrays.
nlohmann::json parse_strict_json(std::string_view text, const std::string& name, int max_depth = 32);

// One member of an object. Errors: InvalidArgument (field = the key) where it is missing, of another type or out of
// range. REQUIRES for json_int: min <= max.
const nlohmann::json& json_member(const nlohmann::json& object, const std::string& key, const std::string& name);
int64_t json_int(const nlohmann::json& object, const std::string& key, int64_t min, int64_t max,
                 const std::string& name);
double json_number(const nlohmann::json& object, const std::string& key, const std::string& name);
std::string json_string(const nlohmann::json& object, const std::string& key, const std::string& name);

}  // namespace sf
