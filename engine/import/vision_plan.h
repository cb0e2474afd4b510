// What import_timm and import_clip share: the plan under construction, and config.json from a few facts.
//
//   VisionPlanner planner(source);
//   const VisionPlanner::Shape& stem = planner.shape("patch_embed.proj.weight", 4);   // [W, 3, patch, patch]
//   planner.copy("vision.class_token", "cls_token", {stem[0]}, {1, 1, stem[0]});
//   check_plan(planner.plan, source);
//
// A VisionPlanner: one thread only. The functions are pure functions. The source must outlive the planner.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/import/vision.h"

namespace sf {

// One foreign encoder's facts, from its tensors' shapes and the files beside it.
struct VisionFacts {
  int64_t width = 0, mlp_width = 0, patch = 0, num_layers = 0, grid = 0, num_heads = 0;
  bool class_token = true, stem_bias = false, pre_norm = false, final_norm = true, layer_scale = false;
  double norm_eps = 0;
  std::string activation;  // as config.json says it
  int64_t resize_side = 0, crop_side = 0;
  std::string crop_offset, resample = "bicubic";
  std::array<double, 3> mean{}, std{};
};

class VisionPlanner {
 public:
  using Shape = std::vector<int64_t>;
  explicit VisionPlanner(const TensorSource& source) : source_(source) {}

  bool has(const std::string& name) const { return source_.tensors().contains(name); }
  // Errors: InvalidArgument where the tensor is missing or has another number of dimensions.
  const Shape& shape(const std::string& name, size_t dimensions) const;
  // Blocks 0..N-1 that have `prefix` + N + `probe`.
  int64_t count_blocks(const std::string& prefix, const std::string& probe) const;

  // Ours is theirs; the shape may differ by sides of one.
  void copy(const std::string& ours, const std::string& theirs, const Shape& shape, const Shape& their_shape = {});
  void join(const std::string& ours, const Shape& shape, const std::vector<std::string>& theirs, const Shape& each);
  void zeros(const std::string& ours, const Shape& shape);
  void skip(const std::string& name) { plan.unused.insert(name); }
  void skip_prefix(const std::string& prefix);

  ImportPlan plan;

 private:
  const TensorSource& source_;
};

// The side of a square grid of `tokens`. Errors: InvalidArgument (field = the tensor) where it is none.
int64_t square_side(int64_t tokens, const std::string& tensor);

// The number of blocks that options.feature_layer keeps of `num_layers`. Errors: InvalidArgument (field
// "feature-layer").
int64_t kept_layers(const VisionImportOptions& options, int64_t num_layers);

// Width / 64 where neither the options nor `configured` say otherwise.
int64_t choose_heads(const VisionImportOptions& options, int64_t configured, int64_t width);

// An object, or null for an empty text. Errors: InvalidArgument with the file's name.
nlohmann::json parse_beside(const std::string& text, const std::string& file_name);

std::array<double, 3> channels_of(const nlohmann::json& value, const std::string& key);

std::string vision_config_json(const VisionFacts& facts, const VisionImportOptions& options);

}  // namespace sf
