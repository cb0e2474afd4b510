// LLaVA: a CLIP tower without its last layers, a two-layer projector, and any of the text families.
// models/llava/modeling_llava.py of transformers.
#include <algorithm>

#include "engine/import/clip_layer.h"
#include "engine/import/hf_family.h"
#include "engine/import/json_section.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string vision_activation(const JsonSection& section) {
  const std::string act = section.text("hidden_act", "quick_gelu");
  if (act == "quick_gelu" || act == "gelu") return act;
  if (act == "gelu_pytorch_tanh" || act == "gelu_new") return "gelu_tanh";
  section.fail("hidden_act", act + " is not supported; supported: quick_gelu, gelu, gelu_pytorch_tanh");
}

HfVision read_vision(const Json& config) {
  const JsonSection top(config, "config.json");
  const Json empty = Json::object();
  const Json* json = top.find("vision_config");
  const JsonSection section(json ? *json : empty, "config.json vision_config");
  const std::string type = section.text("model_type", "clip_vision_model");
  if (type != "clip_vision_model")
    section.fail("model_type", type + " is not supported as vision tower; supported: clip_vision_model");
  // CLIPVisionConfig's own defaults where there is a section, LLaVA's where there is none.
  HfVision vision;
  vision.hidden_size = section.integer("hidden_size", json ? 768 : 1024);
  vision.intermediate_size = section.integer("intermediate_size", json ? 3072 : 4096);
  vision.num_layers = section.integer("num_hidden_layers", json ? 12 : 24);
  vision.num_heads = section.integer("num_attention_heads", json ? 12 : 16);
  vision.image_size = section.integer("image_size", json ? 224 : 336);
  vision.patch_size = section.integer("patch_size", json ? 32 : 14);
  vision.norm_eps = section.number("layer_norm_eps", 1e-5);
  vision.activation = vision_activation(section);
  if (section.integer("num_channels", 3) != 3) section.fail("num_channels", "must be 3");
  const Json* layer = top.find("vision_feature_layer");
  if (layer && !layer->is_number_integer())
    top.fail("vision_feature_layer", "must be one integer; lists of layers are not supported");
  const int64_t index = layer ? layer->get<int64_t>() : -2;
  if (index < -vision.num_layers || index > vision.num_layers || index == 0 || index == -vision.num_layers - 1) {
    top.fail("vision_feature_layer",
             concat("must name the output of one of the ", vision.num_layers, " layers, got ", index));
  }
  vision.kept_layers = index < 0 ? vision.num_layers + 1 + index : index;
  if (vision.kept_layers < 1) top.fail("vision_feature_layer", "must keep at least one layer");
  const std::string strategy = top.text("vision_feature_select_strategy", "default");
  if (strategy != "default" && strategy != "full") {
    top.fail("vision_feature_select_strategy", strategy + " is not supported; supported: default, full");
  }
  vision.keep_class_token = strategy == "full";
  vision.projector_bias = top.flag("multimodal_projector_bias", true);
  const std::string act = top.text("projector_hidden_act", "gelu");
  if (act != "gelu") top.fail("projector_hidden_act", act + " is not supported; supported: gelu");
  return vision;
}

// A side that is written as a number or as an object with one of two keys.
int64_t side_of(const JsonSection& section, const std::string& key, const std::string& inner, int64_t fallback) {
  const Json* value = section.find(key);
  if (!value || !value->is_object()) return section.integer(key, fallback);
  const JsonSection sizes(*value, section.name() + " " + key);
  if (!sizes.find(inner)) section.fail(key, "must have " + inner);
  return sizes.integer(inner, fallback);
}

std::vector<double> channels_of(const JsonSection& section, const std::string& key, std::vector<double> fallback) {
  const Json* value = section.find(key);
  if (!value) return fallback;
  const bool right = value->is_array() && value->size() == 3 &&
                     std::all_of(value->begin(), value->end(), [](const Json& channel) { return channel.is_number(); });
  if (!right) section.fail(key, "must be three numbers");
  return value->get<std::vector<double>>();
}

HfImage read_image(const fs::path& directory, const HfVision& vision) {
  std::string name = "preprocessor_config.json";
  Json json = read_json_or_empty(directory, name);
  if (json.empty() && fs::exists(directory / "processor_config.json")) {
    name = "processor_config.json";
    json = read_json(directory, name);
    if (json.contains("image_processor")) json = Json(json["image_processor"]);
  }
  const JsonSection section(json, name);
  HfImage image;
  image.resize_side = side_of(section, "size", "shortest_edge", vision.image_size);
  image.crop_side = side_of(section, "crop_size", "height", vision.image_size);
  image.mean = channels_of(section, "image_mean", {0.48145466, 0.4578275, 0.40821073});
  image.std = channels_of(section, "image_std", {0.26862954, 0.26130258, 0.27577711});
  for (const char* key : {"do_resize", "do_center_crop", "do_rescale", "do_normalize"}) {
    if (!section.flag(key, true)) section.fail(key, "false is not supported");
  }
  const int64_t resample = section.integer("resample", 3);
  if (resample != 2 && resample != 3) section.fail("resample", "must be 2 (bilinear) or 3 (bicubic)");
  image.resample = resample == 2 ? "bilinear" : "bicubic";
  if (image.crop_side != vision.image_size)
    section.fail("crop_size", concat("must be the tower's image_size ", vision.image_size));
  return image;
}

void read_llava(const Json& config, const fs::path& directory, HfConfig& out) {
  const JsonSection top(config, "config.json");
  out.text.tied_head = out.text.tied_head || top.flag("tie_word_embeddings", false);
  out.vision = read_vision(config);
  out.image = read_image(directory, out.vision);
  out.image_token = top.integer("image_token_index", top.integer("image_token_id", 32000));
  if (out.image_token >= out.text.vocab_size) top.fail("image_token_index", "must be below the text's vocab_size");
}

void plan_vision(HfPlanner& p, const HfVision& v) {
  const int64_t w = v.hidden_size, side = v.image_size / v.patch_size;
  const std::string tower = p.prefix_of(
      {"vision_tower.vision_model.", "model.vision_tower.vision_model.", "model.vision_tower.", "vision_tower."},
      "embeddings.class_embedding");
  const std::string embeddings = tower + "embeddings.";
  p.copy("vision.class_token", embeddings + "class_embedding", {w});
  p.copy("vision.stem_weight0", embeddings + "patch_embedding.weight", {w, 3, v.patch_size, v.patch_size});
  p.copy("vision.position_embedding", embeddings + "position_embedding.weight", {side * side + 1, w});
  p.copy("vision.pre_norm_weight", tower + "pre_layrnorm.weight", {w});
  p.copy("vision.pre_norm_bias", tower + "pre_layrnorm.bias", {w});
  for (const char* name : {"embeddings.position_ids", "post_layernorm.weight", "post_layernorm.bias"})
    p.skip(tower + name);
  p.require_tensors_for("num_hidden_layers", v.num_layers);
  for (int64_t i = 0; i < v.kept_layers; ++i) {
    const std::string layer = concat(tower, "encoder.layers.", i, ".");
    for (ImportTensor& tensor : clip_layer(w, v.intermediate_size, concat("vision.block", i, "."), layer)) {
      p.add(std::move(tensor));
    }
  }
  for (int64_t i = v.kept_layers; i < v.num_layers; ++i) {
    const std::string layer = concat(tower, "encoder.layers.", i, ".");
    for (const char* part : {"layer_norm1", "layer_norm2", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.out_proj", "mlp.fc1", "mlp.fc2"}) {
      p.skip(layer + part + ".weight");
      p.skip(layer + part + ".bias");
    }
  }
}

void plan_projector(HfPlanner& p, const HfConfig& hf) {
  const int64_t w = hf.vision.hidden_size, d = hf.text.hidden_size;
  const std::string theirs = p.prefix_of({"multi_modal_projector.", "model.multi_modal_projector."}, "linear_1.weight");
  p.copy("projector.fc1_weight", theirs + "linear_1.weight", {d, w});
  p.bias("projector.fc1_bias", theirs + "linear_1.bias", {d}, hf.vision.projector_bias);
  p.copy("projector.fc2_weight", theirs + "linear_2.weight", {d, d});
  p.bias("projector.fc2_bias", theirs + "linear_2.bias", {d}, hf.vision.projector_bias);
}

void plan_llava(HfPlanner& p, const HfConfig& hf) {
  plan_vision(p, hf.vision);
  plan_projector(p, hf);
}

nlohmann::ordered_json vision_config(const HfVision& v) {
  const int64_t side = v.image_size / v.patch_size;
  return {{"token_size", v.patch_size},
          {"stem", "linear"},
          {"stem_bias", false},
          {"coordinates", false},
          {"class_token", true},
          {"position_embedding", "table"},
          {"position_rows", side},
          {"position_columns", side},
          {"width", v.hidden_size},
          {"num_layers", v.kept_layers},
          {"num_heads", v.num_heads},
          {"mlp_width", v.intermediate_size},
          {"activation", v.activation},
          {"pre_norm", true},
          {"final_norm", false},
          {"relative_bias", false},
          {"max_side", side},
          {"norm_eps", v.norm_eps},
          {"features", v.keep_class_token ? "all" : "patches"}};
}

nlohmann::ordered_json image_config(const HfConfig& hf) {
  const int64_t side = hf.vision.image_size / hf.vision.patch_size;
  return {{"cell_size", hf.vision.patch_size},
          {"resize", "crop"},
          {"resample", hf.image.resample},
          {"resize_side", hf.image.resize_side},
          {"crop_side", hf.image.crop_side},
          {"crop_offset", "floor"},
          {"max_cells", side * side},
          {"max_side_cells", side},
          {"mean", hf.image.mean},
          {"std", hf.image.std}};
}

void describe_llava(const HfConfig& hf, nlohmann::ordered_json& config) {
  config["image"] = image_config(hf);
  config["vision"] = vision_config(hf.vision);
  config["projector"] = "mlp";
  config["projector_norm"] = false;
  config["projector_hidden"] = hf.text.hidden_size;
}

}  // namespace

const HfVisionFamily kLlavaFamily = {
    .text_prefixes = {"language_model.model.", "model.language_model."},
    .head_prefixes = {"language_model.", ""},
    .prompt_template = "llava-1.5",
    .read = read_llava,
    .plan = plan_llava,
    .describe = describe_llava,
};

}  // namespace sf
