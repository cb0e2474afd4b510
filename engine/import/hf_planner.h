// The plan of a Hugging Face model under construction. Names of the foreign model are built from prefixes that are
// found once, by name.
//
//   HfPlanner planner(source);
//   const std::string head = planner.prefix_of({"language_model.", ""}, "lm_head.weight") + "lm_head.weight";
//   planner.copy("decoder.head", head, {32000, 4096});
//   ImportPlan plan = planner.take();
//
// One thread only. The source must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/import/plan.h"

namespace sf {

class HfPlanner {
 public:
  using Shape = std::vector<int64_t>;
  explicit HfPlanner(const TensorSource& source) : source_(source) {}

  bool has(const std::string& name) const { return source_.tensors().contains(name); }
  // The first prefix under which `probe` exists; the first of all where none does, so that the error has a name.
  std::string prefix_of(const std::vector<std::string>& prefixes, const std::string& probe) const;
  // Refuses a `count` (of layers, of experts) above the number of tensors in the file: each has at least one of its
  // own, and a number in a configuration must not fill the memory with a plan. Errors: InvalidArgument (field
  // "config.json") with the key.
  void require_tensors_for(const std::string& key, int64_t count) const;

  void add(ImportTensor tensor) { plan_.tensors.push_back(std::move(tensor)); }
  void add(const std::string& name, Shape shape, std::vector<ImportPiece> pieces);
  // Ours is theirs.
  void copy(const std::string& name, const std::string& source, const Shape& shape);
  // A linear layer's or a norm's bias that may not exist there.
  void bias(const std::string& name, const std::string& source, const Shape& shape, bool exists);
  // A foreign tensor that is known and not needed.
  void skip(const std::string& source) { plan_.unused.insert(source); }

  // The plan, once.
  ImportPlan take() { return std::move(plan_); }

 private:
  const TensorSource& source_;
  ImportPlan plan_;
};

}  // namespace sf
