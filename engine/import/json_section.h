// The JSON files of a foreign model, read with errors that name the file and the key.
//
//   const nlohmann::json json = read_json(directory, "config.json");
//   const JsonSection section(json, "config.json");
//   const int64_t layers = section.integer("num_hidden_layers", 32);
//
// Immutable after construction; the JSON must outlive it. Errors: InvalidArgument (field = the key).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {

constexpr int64_t kMaxJsonInteger = 1 << 20;  // of sizes, counts and token ids

// One object of one file: typed access with defaults, and errors that name both.
class JsonSection {
 public:
  JsonSection(const nlohmann::json& json, std::string name) : json_(json), name_(std::move(name)) {
    if (!json_.is_object()) throw invalid_argument(name_, name_, ": must be an object");
  }

  // A key that is absent or null does not count.
  const nlohmann::json* find(const std::string& key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  int64_t integer(const std::string& key, int64_t fallback) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number_integer() || *value < 1 || *value > kMaxJsonInteger)
      fail(key, concat("must be an integer from 1 to ", kMaxJsonInteger));
    return value->get<int64_t>();
  }
  double number(const std::string& key, double fallback) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number()) fail(key, "must be a number");
    return value->get<double>();
  }
  bool flag(const std::string& key, bool fallback) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) fail(key, "must be true or false");
    return value->get<bool>();
  }
  std::string text(const std::string& key, const std::string& fallback) const {
    const nlohmann::json* value = find(key);
    if (!value) return fallback;
    if (!value->is_string()) fail(key, "must be text");
    return value->get<std::string>();
  }
  [[noreturn]] void fail(const std::string& key, const std::string& reason) const {
    throw invalid_argument(key, name_, ": ", key, " ", reason);
  }
  const std::string& name() const { return name_; }

 private:
  const nlohmann::json& json_;
  std::string name_;
};

// Errors: as read_file and parse_strict_json; files above 16 MiB are refused.
nlohmann::json read_json(const std::filesystem::path& directory, const std::string& name);
// An empty object where there is no such file.
nlohmann::json read_json_or_empty(const std::filesystem::path& directory, const std::string& name);

}  // namespace sf
