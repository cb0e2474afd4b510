#include "engine/import/hf_planner.h"

#include "engine/base/error.h"

namespace sf {

std::string HfPlanner::prefix_of(const std::vector<std::string>& prefixes, const std::string& probe) const {
  for (const std::string& prefix : prefixes) {
    if (has(prefix + probe)) return prefix;
  }
  return prefixes.front();
}

void HfPlanner::require_tensors_for(const std::string& key, int64_t count) const {
  const auto tensors = static_cast<int64_t>(source_.tensors().size());
  if (count > tensors) {
    throw invalid_argument("config.json", "config.json: ", key, " is ", count, ", and the files have ", tensors,
                           " tensors");
  }
}

void HfPlanner::add(const std::string& name, Shape shape, std::vector<ImportPiece> pieces) {
  add(ImportTensor{name, std::move(shape), std::move(pieces)});
}

void HfPlanner::copy(const std::string& name, const std::string& source, const Shape& shape) {
  add(name, shape, {{source, shape}});
}

void HfPlanner::bias(const std::string& name, const std::string& source, const Shape& shape, bool exists) {
  if (exists)
    copy(name, source, shape);
  else
    add(name, shape, {{"", shape}});
}

}  // namespace sf
