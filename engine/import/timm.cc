// timm's VisionTransformer: models/vision_transformer.py of pytorch-image-models.
#include <cmath>

#include "engine/base/error.h"
#include "engine/import/vision_plan.h"

namespace sf {
namespace {

constexpr double kCropPercent = 0.9;

void plan_block(VisionPlanner& p, const VisionFacts& f, int64_t index) {
  const std::string ours = concat("block", index, "."), theirs = concat("blocks.", index, ".");
  const int64_t w = f.width, m = f.mlp_width;
  for (const char* norm : {"norm1", "norm2"}) {
    p.copy(concat(ours, norm, "_weight"), concat(theirs, norm, ".weight"), {w});
    p.copy(concat(ours, norm, "_bias"), concat(theirs, norm, ".bias"), {w});
  }
  p.copy(ours + "qkv_weight", theirs + "attn.qkv.weight", {3 * w, w});
  if (p.has(theirs + "attn.qkv.bias"))
    p.copy(ours + "qkv_bias", theirs + "attn.qkv.bias", {3 * w});
  else
    p.zeros(ours + "qkv_bias", {3 * w});
  p.copy(ours + "out_weight", theirs + "attn.proj.weight", {w, w});
  p.copy(ours + "out_bias", theirs + "attn.proj.bias", {w});
  p.copy(ours + "fc1_weight", theirs + "mlp.fc1.weight", {m, w});
  p.copy(ours + "fc1_bias", theirs + "mlp.fc1.bias", {m});
  p.copy(ours + "fc2_weight", theirs + "mlp.fc2.weight", {w, m});
  p.copy(ours + "fc2_bias", theirs + "mlp.fc2.bias", {w});
  if (!f.layer_scale) return;
  p.copy(ours + "scale1", theirs + "ls1.gamma", {w});
  p.copy(ours + "scale2", theirs + "ls2.gamma", {w});
}

VisionFacts read_shapes(const VisionPlanner& p, const VisionImportOptions& options) {
  VisionFacts f;
  const auto& stem = p.shape("patch_embed.proj.weight", 4);
  f.width = stem[0];
  f.patch = stem[2];
  f.num_layers = p.count_blocks("blocks.", ".norm1.weight");
  if (f.num_layers == 0)
    throw invalid_argument("blocks.0.norm1.weight", "tensor blocks.0.norm1.weight is missing: this is no ViT");
  f.mlp_width = p.shape("blocks.0.mlp.fc1.weight", 2)[0];
  f.class_token = p.has("cls_token");
  f.stem_bias = p.has("patch_embed.proj.bias");
  f.pre_norm = p.has("norm_pre.weight");
  f.layer_scale = p.has("blocks.0.ls1.gamma");
  f.final_norm = options.feature_layer == 0 && p.has("norm.weight");
  f.grid = square_side(p.shape("pos_embed", 3)[1] - (f.class_token ? 1 : 0), "pos_embed");
  f.num_heads = choose_heads(options, 0, f.width);
  return f;
}

// What the hub's config.json of a timm model says: {"architecture": ..., "pretrained_cfg": {"mean": ..., "crop_pct":
// ...}}.
void read_preprocessing(VisionFacts& f, const VisionImportOptions& options, const std::string& config_json) {
  f.norm_eps = f.pre_norm ? 1e-5 : 1e-6;
  f.activation = "gelu";
  f.crop_offset = "even";
  f.mean = f.std = {0.5, 0.5, 0.5};
  if (f.pre_norm) {
    f.mean = {0.48145466, 0.4578275, 0.40821073};
    f.std = {0.26862954, 0.26130258, 0.27577711};
  }
  double crop_percent = kCropPercent;
  const nlohmann::json config = parse_beside(config_json, "config.json");
  if (config.is_object() && config.contains("pretrained_cfg")) {
    const nlohmann::json& cfg = config["pretrained_cfg"];
    if (!cfg.is_object()) throw invalid_argument("config.json", "config.json: pretrained_cfg is not an object");
    if (cfg.contains("mean")) f.mean = channels_of(cfg["mean"], "pretrained_cfg.mean");
    if (cfg.contains("std")) f.std = channels_of(cfg["std"], "pretrained_cfg.std");
    if (cfg.contains("crop_pct") && cfg["crop_pct"].is_number()) crop_percent = cfg["crop_pct"];
    if (cfg.value("interpolation", "bicubic") != "bicubic" || cfg.value("crop_mode", "center") != "center") {
      throw invalid_argument("config.json",
                             "config.json: only interpolation bicubic and crop_mode center are supported");
    }
    if (config.value("architecture", "").find("quickgelu") != std::string::npos) f.activation = "quick_gelu";
  }
  if (!(crop_percent > 0.1 && crop_percent <= 1))
    throw invalid_argument("config.json", "config.json: crop_pct must be 0.1..1");
  f.crop_side = options.image_size > 0 ? options.image_size : f.grid * f.patch;
  f.resize_side = static_cast<int64_t>(std::floor(static_cast<double>(f.crop_side) / crop_percent));
}

}  // namespace

VisionImport import_timm(const TensorSource& source, const VisionImportOptions& options,
                         const VisionImportFiles& files) {
  VisionPlanner p(source);
  VisionFacts f = read_shapes(p, options);
  read_preprocessing(f, options, files.config_json);
  const int64_t w = f.width, positions = f.grid * f.grid + (f.class_token ? 1 : 0),
                layers = kept_layers(options, f.num_layers);
  p.copy("stem_weight0", "patch_embed.proj.weight", {w, 3, f.patch, f.patch});
  if (f.stem_bias) p.copy("stem_bias0", "patch_embed.proj.bias", {w});
  if (f.class_token) p.copy("class_token", "cls_token", {w}, {1, 1, w});
  p.copy("position_embedding", "pos_embed", {positions, w}, {1, positions, w});
  if (f.pre_norm) {
    p.copy("pre_norm_weight", "norm_pre.weight", {w});
    p.copy("pre_norm_bias", "norm_pre.bias", {w});
  }
  for (int64_t i = 0; i < layers; ++i) plan_block(p, f, i);
  for (int64_t i = layers; i < f.num_layers; ++i) p.skip_prefix(concat("blocks.", i, "."));
  f.num_layers = layers;
  if (f.final_norm) {
    p.copy("norm_weight", "norm.weight", {w});
    p.copy("norm_bias", "norm.bias", {w});
  }
  for (const char* unused : {"norm.", "head.", "fc_norm."}) p.skip_prefix(unused);
  return {vision_config_json(f, options), std::move(p.plan)};
}

}  // namespace sf
