#include "engine/import/vision_plan.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

namespace sf {
namespace {

constexpr int64_t kHeadWidth = 64;  // of ViT and CLIP at every size

}  // namespace

const VisionPlanner::Shape& VisionPlanner::shape(const std::string& name, size_t dimensions) const {
  const auto found = source_.tensors().find(name);
  if (found == source_.tensors().end())
    throw invalid_argument(name, "tensor ", name, " is missing: this is no such encoder");
  if (found->second.shape.size() != dimensions) {
    throw invalid_argument(name, "tensor ", name, " has ", found->second.shape.size(), " dimensions, not ", dimensions);
  }
  return found->second.shape;
}

int64_t VisionPlanner::count_blocks(const std::string& prefix, const std::string& probe) const {
  int64_t count = 0;
  while (has(concat(prefix, count, probe))) ++count;
  return count;
}

void VisionPlanner::copy(const std::string& ours, const std::string& theirs, const Shape& shape,
                         const Shape& their_shape) {
  plan.tensors.push_back({"vision." + ours, shape, {{theirs, their_shape.empty() ? shape : their_shape}}});
}

void VisionPlanner::join(const std::string& ours, const Shape& shape, const std::vector<std::string>& theirs,
                         const Shape& each) {
  ImportTensor tensor{"vision." + ours, shape, {}};
  for (const std::string& name : theirs) tensor.pieces.push_back({name, each});
  plan.tensors.push_back(std::move(tensor));
}

void VisionPlanner::zeros(const std::string& ours, const Shape& shape) { join(ours, shape, {""}, shape); }

void VisionPlanner::skip_prefix(const std::string& prefix) {
  for (const auto& [name, layout] : source_.tensors()) {
    if (name.starts_with(prefix)) skip(name);
  }
}

int64_t square_side(int64_t tokens, const std::string& tensor) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(tokens, 0)))));
  if (tokens < 1 || side * side != tokens) {
    throw invalid_argument(tensor, "tensor ", tensor, " has ", tokens,
                           " positions of patches, which is no square grid");
  }
  return side;
}

int64_t kept_layers(const VisionImportOptions& options, int64_t num_layers) {
  const int64_t kept = options.feature_layer == 0 ? num_layers : num_layers + 1 + options.feature_layer;
  if (options.feature_layer > 0 || kept < 1) {
    throw invalid_argument("feature-layer", "feature-layer: must be 0, or -1 to -", num_layers, ", got ",
                           options.feature_layer);
  }
  return kept;
}

int64_t choose_heads(const VisionImportOptions& options, int64_t configured, int64_t width) {
  const int64_t heads = options.num_heads > 0 ? options.num_heads : configured > 0 ? configured : width / kHeadWidth;
  if (heads < 1 || width % heads != 0 || (options.num_heads == 0 && configured == 0 && width % kHeadWidth != 0)) {
    throw invalid_argument("heads", "heads: a width of ", width, " does not tell the number of heads; give --heads");
  }
  return heads;
}

nlohmann::json parse_beside(const std::string& text, const std::string& file_name) {
  if (text.empty()) return nullptr;
  nlohmann::json json = parse_strict_json(text, file_name);
  if (!json.is_object()) throw invalid_argument(file_name, file_name, ": not a JSON object");
  return json;
}

std::array<double, 3> channels_of(const nlohmann::json& value, const std::string& key) {
  const bool numbers =
      value.is_array() && value.size() == 3 &&
      std::all_of(value.begin(), value.end(), [](const nlohmann::json& number) { return number.is_number(); });
  if (!numbers) throw invalid_argument(key, key, " must be three numbers");
  return value.get<std::array<double, 3>>();
}

std::string vision_config_json(const VisionFacts& f, const VisionImportOptions& options) {
  const int64_t side = f.crop_side / std::max<int64_t>(f.patch, 1);
  nlohmann::ordered_json json = {{"model_type", "sparsefusion-vision"}};
  json["image"] = {{"cell_size", f.patch},     {"resize", "crop"},
                   {"resample", f.resample},   {"resize_side", f.resize_side},
                   {"crop_side", f.crop_side}, {"crop_offset", f.crop_offset},
                   {"mean", f.mean},           {"std", f.std}};
  json["vision"] = {{"token_size", f.patch},
                    {"stem", "linear"},
                    {"stem_bias", f.stem_bias},
                    {"coordinates", false},
                    {"class_token", f.class_token},
                    {"position_embedding", "table"},
                    {"position_rows", f.grid},
                    {"position_columns", f.grid},
                    {"width", f.width},
                    {"num_layers", f.num_layers},
                    {"num_heads", f.num_heads},
                    {"mlp_width", f.mlp_width},
                    {"activation", f.activation},
                    {"layer_scale", f.layer_scale},
                    {"pre_norm", f.pre_norm},
                    {"final_norm", f.final_norm},
                    {"relative_bias", false},
                    {"max_side", std::max(f.grid, side)},
                    {"norm_eps", f.norm_eps},
                    {"features", options.features}};
  return json.dump(2) + "\n";
}

}  // namespace sf
