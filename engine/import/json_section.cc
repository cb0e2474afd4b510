#include "engine/import/json_section.h"

#include "engine/base/file.h"
#include "engine/base/strict_json.h"

namespace sf {
namespace {

constexpr int64_t kMaxJsonBytes = 16 << 20;

}  // namespace

nlohmann::json read_json(const std::filesystem::path& directory, const std::string& name) {
  return parse_strict_json(read_file(directory / name, kMaxJsonBytes), name);
}

nlohmann::json read_json_or_empty(const std::filesystem::path& directory, const std::string& name) {
  return std::filesystem::exists(directory / name) ? read_json(directory, name) : nlohmann::json::object();
}

}  // namespace sf
