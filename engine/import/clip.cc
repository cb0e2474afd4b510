// Hugging Face's CLIP: models/clip/modeling_clip.py of transformers.
#include "engine/base/error.h"
#include "engine/import/clip_layer.h"
#include "engine/import/vision_plan.h"

namespace sf {
namespace {

int64_t integer(const nlohmann::json& object, const char* key, int64_t otherwise) {
  const auto found = object.find(key);
  if (found == object.end()) return otherwise;
  if (!found->is_number_integer()) throw invalid_argument(key, key, " is not an integer");
  return found->get<int64_t>();
}

// config.json of a CLIPModel (vision_config) or of a CLIPVisionModel; its class's defaults for what is left out.
void read_config(VisionFacts& f, const VisionImportOptions& options, const std::string& text) {
  f.norm_eps = 1e-5;
  f.activation = "quick_gelu";
  int64_t heads = 0;
  nlohmann::json config = parse_beside(text, "config.json");
  if (config.is_object()) {
    if (config.contains("vision_config") && config["vision_config"].is_object())
      config = nlohmann::json(config["vision_config"]);
    heads = integer(config, "num_attention_heads", 0);
    if (config.contains("layer_norm_eps") && config["layer_norm_eps"].is_number())
      f.norm_eps = config["layer_norm_eps"];
    if (config.contains("hidden_act") && config["hidden_act"].is_string()) f.activation = config["hidden_act"];
    if (f.activation == "gelu_new" || f.activation == "gelu_pytorch_tanh") f.activation = "gelu_tanh";
    if (f.activation != "quick_gelu" && f.activation != "gelu" && f.activation != "gelu_tanh") {
      throw invalid_argument("config.json", "config.json: hidden_act ", f.activation, " is not supported");
    }
  }
  f.num_heads = choose_heads(options, heads, f.width);
}

// "size": 224, {"shortest_edge": 224} or {"height": 224, "width": 224}.
int64_t side_of(const nlohmann::json& object, const char* key, int64_t otherwise) {
  const auto found = object.find(key);
  if (found == object.end()) return otherwise;
  if (found->is_number_integer()) return found->get<int64_t>();
  if (!found->is_object())
    throw invalid_argument("preprocessor_config.json", "preprocessor_config.json: ", key, " is no size");
  if (found->contains("shortest_edge")) return integer(*found, "shortest_edge", otherwise);
  const int64_t height = integer(*found, "height", otherwise);
  if (height != integer(*found, "width", otherwise)) {
    throw invalid_argument("preprocessor_config.json", "preprocessor_config.json: ", key, " is not square");
  }
  return height;
}

void read_preprocessing(VisionFacts& f, const VisionImportOptions& options, const std::string& text) {
  f.crop_offset = "floor";
  f.mean = {0.48145466, 0.4578275, 0.40821073};
  f.std = {0.26862954, 0.26130258, 0.27577711};
  f.resize_side = f.crop_side = f.grid * f.patch;
  const nlohmann::json config = parse_beside(text, "preprocessor_config.json");
  if (config.is_object()) {
    if (config.contains("image_mean")) f.mean = channels_of(config["image_mean"], "image_mean");
    if (config.contains("image_std")) f.std = channels_of(config["image_std"], "image_std");
    f.resize_side = side_of(config, "size", f.resize_side);
    f.crop_side = side_of(config, "crop_size", f.crop_side);
    constexpr int64_t kPilBilinear = 2, kPilBicubic = 3;
    const int64_t resample = integer(config, "resample", kPilBicubic);
    if ((resample != kPilBilinear && resample != kPilBicubic) || !config.value("do_center_crop", true)) {
      throw invalid_argument(
          "preprocessor_config.json",
          "preprocessor_config.json: only resample 2 (bilinear) or 3 (bicubic) with a centre crop is supported");
    }
    f.resample = resample == kPilBilinear ? "bilinear" : "bicubic";
  }
  if (f.crop_side < 1 || f.resize_side < 1)
    throw invalid_argument("preprocessor_config.json", "preprocessor_config.json: no size");
  if (options.image_size > 0) {
    f.resize_side = f.resize_side * options.image_size / f.crop_side;
    f.crop_side = options.image_size;
  }
}

}  // namespace

VisionImport import_clip(const TensorSource& source, const VisionImportOptions& options,
                         const VisionImportFiles& files) {
  VisionPlanner p(source);
  const std::string tower = p.has("embeddings.class_embedding") ? "" : "vision_model.";
  VisionFacts f;
  const auto& stem = p.shape(tower + "embeddings.patch_embedding.weight", 4);
  f.width = stem[0];
  f.patch = stem[2];
  f.pre_norm = true;
  f.final_norm = options.feature_layer == 0;
  const std::string position = tower + "embeddings.position_embedding.weight", layers = tower + "encoder.layers.";
  f.grid = square_side(p.shape(position, 2)[0] - 1, position);
  f.num_layers = p.count_blocks(layers, ".layer_norm1.weight");
  f.mlp_width = p.shape(layers + "0.mlp.fc1.weight", 2)[0];
  read_config(f, options, files.config_json);
  read_preprocessing(f, options, files.preprocessor_json);
  const int64_t w = f.width, kept = kept_layers(options, f.num_layers);
  p.copy("stem_weight0", tower + "embeddings.patch_embedding.weight", {w, 3, f.patch, f.patch});
  p.copy("class_token", tower + "embeddings.class_embedding", {w});
  p.copy("position_embedding", position, {f.grid * f.grid + 1, w});
  p.copy("pre_norm_weight", tower + "pre_layrnorm.weight", {w});
  p.copy("pre_norm_bias", tower + "pre_layrnorm.bias", {w});
  for (int64_t i = 0; i < kept; ++i) {
    for (ImportTensor& tensor : clip_layer(w, f.mlp_width, concat("vision.block", i, "."), concat(layers, i, "."))) {
      p.plan.tensors.push_back(std::move(tensor));
    }
  }
  for (int64_t i = kept; i < f.num_layers; ++i) p.skip_prefix(concat(layers, i, "."));
  f.num_layers = kept;
  if (f.final_norm) {
    p.copy("norm_weight", tower + "post_layernorm.weight", {w});
    p.copy("norm_bias", tower + "post_layernorm.bias", {w});
  }
  for (const char* unused : {"text_model.", "text_projection.", "visual_projection.", "logit_scale"})
    p.skip_prefix(unused);
  for (const char* unused : {"embeddings.position_ids", "post_layernorm."}) p.skip_prefix(tower + unused);
  return {vision_config_json(f, options), std::move(p.plan)};
}

}  // namespace sf
