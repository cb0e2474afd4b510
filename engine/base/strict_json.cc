#include "engine/base/strict_json.h"

#include <set>
#include <utility>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::json;

template <typename... Args>
[[noreturn]] void fail(const std::string& name, const std::string& key, const Args&... reason) {
  throw invalid_argument(key, name, ": ", reason...);
}

// Called for every event of the parser; throws on the first that is not allowed.
class StrictEvents {
 public:
  StrictEvents(const std::string& name, int max_depth) : name_(name), max_depth_(max_depth) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        keys_.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (depth >= max_depth_) fail(name_, "", "JSON is nested deeper than ", max_depth_, " levels");
        break;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys_.back().insert(key).second) fail(name_, key, "duplicate key '", key, "'");
        break;
      }
      default:
        break;
    }
    return true;
  }

 private:
  const std::string& name_;
  const int max_depth_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

Json parse_strict_json(std::string_view text, const std::string& name, int max_depth) {
  StrictEvents events(name, max_depth);
  try {
    return Json::parse(text.begin(), text.end(), [&](int depth, Json::parse_event_t event, Json& parsed) {
      return events(depth, event, parsed);
    });
  } catch (const Json::parse_error& error) {
    fail(name, "", "not JSON at byte ", error.byte);
  } catch (const Json::exception&) {
    fail(name, "", "a number is out of range");
  }
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
