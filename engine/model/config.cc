#include "engine/model/config.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VisionConfig, token_size, stem, stem_bias, stem_channels, stem_strides,
                                                coordinates, class_token, position_embedding, position_rows, position_columns,
                                                width, num_layers, num_heads, mlp_width, activation, layer_scale, pre_norm,
                                                final_norm, relative_bias, max_side, norm_eps, features)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MoeConfig, num_experts, top_k, hidden, router_softmax, noise_scale, noise_epsilon, noisy,
                                   capacity_factor)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DecoderConfig, vocab_size, width, num_layers, num_heads, num_kv_heads, head_dim,
                                   rope_theta, rope_fraction, norm_eps, max_context, moe)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ImageConfig, cell_size, resize, max_cells, max_side_cells, resize_side,
                                                crop_side, crop_offset, mean, std, max_images)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelConfig, model_type, preset, image, vision, projector, projector_norm,
                                   projector_hidden, modality_embedding,
                                   decoder, prompt_template)

namespace {

constexpr int kMaxSize = 1 << 20;
constexpr const char* kVisionModelType = "sparsefusion-vision";

void require(bool condition, const std::string& what) {
  if (!condition) throw Error(Code::kInvalidArgument, "config.json: " + what, "config.json");
}

// Whether `value` may stand where `example` stands in a whole configuration.
bool same_type(const nlohmann::json& value, const nlohmann::json& example) {
  if (example.is_number_integer()) {
    if (value.is_number_unsigned()) return std::in_range<int>(value.get<uint64_t>());
    return value.is_number_integer() && std::in_range<int>(value.get<int64_t>());
  }
  if (example.is_number()) return value.is_number();
  if (!example.is_array()) return value.type() == example.type();
  if (!value.is_array()) return false;
  for (const nlohmann::json& element : value) {
    if (!same_type(element, example.front())) return false;
  }
  return true;
}

// No key but `example`'s, and each holds what its type says; a key that is left out keeps its default, so that older
// checkpoints still load; the sections and model_type must be there. `path` is empty or ends in a dot.
void check_keys(const nlohmann::json& json, const nlohmann::json& example, const std::string& path) {
  for (const auto& [key, value] : example.items()) {
    const auto found = json.find(key);
    if (found == json.end()) {
      require(!value.is_object() && key != "model_type", path + key + " is missing");
      continue;
    }
    require(same_type(*found, value), path + key + " has the wrong type or is out of range; expected something like " + value.dump());
    if (value.is_object()) check_keys(*found, value, path + key + ".");
  }
  for (const auto& [key, value] : json.items()) require(example.contains(key), path + key + " is unknown");
}

void require_size(int value, const std::string& name, int limit = kMaxSize) {
  require(value > 0 && value <= limit, concat(name, " must be 1..", limit, ", got ", value));
}

void require_one_of(const std::string& value, std::initializer_list<const char*> known, const std::string& name) {
  std::string list;
  for (const char* word : known) {
    if (value == word) return;
    list += concat(list.empty() ? "" : ", ", word);
  }
  require(false, name + " must be one of " + list + "; got " + value);
}

void check_vision(const VisionConfig& v) {
  require_size(v.token_size, "vision.token_size", 256);
  require_size(v.width, "vision.width", 1 << 14);
  require_size(v.num_layers, "vision.num_layers", 1024);
  require_size(v.num_heads, "vision.num_heads", 1024);
  require_size(v.mlp_width, "vision.mlp_width");
  require_size(v.max_side, "vision.max_side", 256);
  require(v.width % v.num_heads == 0, "vision.width must be a multiple of vision.num_heads");
  require(v.width % kStemGroups == 0, concat("vision.width must be a multiple of ", kStemGroups));
  require(v.norm_eps >= 0, "vision.norm_eps must not be negative");
  require_one_of(v.stem, {"conv", "patch", "linear"}, "vision.stem");
  require_one_of(v.position_embedding, {"axes", "table"}, "vision.position_embedding");
  require_one_of(v.activation, {"gelu", "quick_gelu", "gelu_tanh"}, "vision.activation");
  require_one_of(v.features, {"patches", "all", "class"}, "vision.features");
  require_size(v.position_rows, "vision.position_rows", 256);
  require_size(v.position_columns, "vision.position_columns", 256);
  require(v.features == "patches" || v.class_token, "vision.features " + v.features + " needs vision.class_token");
  if (v.stem == "conv") {
    require(v.stem_strides.size() <= 8 && v.stem_strides.size() == v.stem_channels.size() + 1,
            "vision.stem_strides needs one entry more than vision.stem_channels");
    for (int channels : v.stem_channels) {
      require_size(channels, "vision.stem_channels", 1 << 14);
      require(channels % kStemGroups == 0, concat("vision.stem_channels must be multiples of ", kStemGroups));
    }
    for (int stride : v.stem_strides) require_size(stride, "vision.stem_strides", 64);
    const int64_t product = std::accumulate(v.stem_strides.begin(), v.stem_strides.end(), int64_t{1}, std::multiplies<>());
    require(product == v.token_size, "the product of vision.stem_strides must be vision.token_size");
  }
}

void check_decoder(const DecoderConfig& d) {
  require_size(d.vocab_size, "decoder.vocab_size");
  require_size(d.width, "decoder.width", 1 << 16);
  require_size(d.num_layers, "decoder.num_layers", 1024);
  require_size(d.num_heads, "decoder.num_heads", 1024);
  require_size(d.num_kv_heads, "decoder.num_kv_heads", 1024);
  require_size(d.head_dim, "decoder.head_dim", 1024);
  require_size(d.max_context, "decoder.max_context");
  require(d.num_heads % d.num_kv_heads == 0, "decoder.num_heads must be a multiple of decoder.num_kv_heads");
  require(d.rope_fraction >= 0 && d.rope_fraction <= 1, "decoder.rope_fraction must be 0..1");
  require(d.rope_theta > 1, "decoder.rope_theta must be above 1");
  require(d.norm_eps >= 0, "decoder.norm_eps must not be negative");
  const MoeConfig& moe = d.moe;
  require_size(moe.num_experts, "decoder.moe.num_experts", 1024);
  require_size(moe.top_k, "decoder.moe.top_k", moe.num_experts);
  require_size(moe.hidden, "decoder.moe.hidden");
  require(moe.router_softmax == "after" || moe.router_softmax == "before",
          "decoder.moe.router_softmax must be before or after, got " + moe.router_softmax);
  require(moe.top_k > 1 || moe.num_experts == 1 || moe.router_softmax == "before",
          "decoder.moe: top_k 1 needs router_softmax before: a softmax over one logit is the constant 1");
  require(moe.noise_scale >= 0, "decoder.moe.noise_scale must not be negative");
  require(moe.noise_epsilon >= 0, "decoder.moe.noise_epsilon must not be negative");
  require(moe.capacity_factor >= 0 && moe.capacity_factor <= 1000, "decoder.moe.capacity_factor must be 0..1000");
}

void check_image(const ImageConfig& image, const VisionConfig& vision, int shuffle) {
  require(image.cell_size == vision.token_size * shuffle,
          "image.cell_size must be vision.token_size times the projector's shuffle");
  require_one_of(image.resize, {"fit", "crop"}, "image.resize");
  require_one_of(image.crop_offset, {"even", "floor"}, "image.crop_offset");
  require_size(image.max_cells, "image.max_cells", 1 << 16);
  require_size(image.max_side_cells, "image.max_side_cells", 256);
  require_size(image.resize_side, "image.resize_side", 1 << 12);
  require_size(image.crop_side, "image.crop_side", 1 << 12);
  require_size(image.max_images, "image.max_images", 1024);
  for (double std : image.std) require(std > 0, "image.std must be positive");
  if (image.resize == "fit") {
    require(image.max_side_cells * shuffle <= vision.max_side, "image.max_side_cells exceeds vision.max_side");
    return;
  }
  require(image.crop_side <= image.resize_side, "image.crop_side must not be above image.resize_side");
  require(image.crop_side % image.cell_size == 0, concat("image.crop_side ", image.crop_side, " must be a multiple of image.cell_size ",
                                                         image.cell_size, ": of the token's size and the projector's shuffle"));
  require(image.crop_side / vision.token_size <= vision.max_side, "image.crop_side exceeds vision.max_side");
}

// A single number stands for all three channels.
void spread_channels(nlohmann::json& json) {
  const auto image = json.find("image");
  if (image == json.end() || !image->is_object()) return;
  for (const char* key : {"mean", "std"}) {
    const auto found = image->find(key);
    if (found == image->end()) continue;
    if (found->is_number()) *found = nlohmann::json::array({*found, *found, *found});
    require(!found->is_array() || found->size() == 3, concat("image.", key, " must have three channels"));
  }
}

nlohmann::json parse_object(std::string_view json_text) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(json_text);
  } catch (const nlohmann::json::exception& error) {
    require(false, error.what());
  }
  require(json.is_object(), "not a JSON object");
  spread_channels(json);
  return json;
}

void check(const ModelConfig& config) {
  require(config.model_type == "sparsefusion",
          "model_type " + config.model_type + " is unknown; supported: sparsefusion");
  require_one_of(config.projector, {"shuffle2", "mlp", "cls"}, "projector");
  require(config.projector_hidden >= 0 && config.projector_hidden <= kMaxSize, concat("projector_hidden must be 0..", kMaxSize));
  require(config.prompt_template == "plain", "prompt_template must be plain, got " + config.prompt_template);
  check_vision(config.vision);
  check_decoder(config.decoder);
  require((config.projector == "cls") == (config.vision.features == "class"),
          "projector cls and vision.features class belong together");
  require(config.projector != "shuffle2" || config.vision.features == "patches", "projector shuffle2 needs vision.features patches");
  check_image(config.image, config.vision, projector_shuffle(config.projector));
  require(max_image_tokens(config) < config.decoder.max_context,
          concat("a picture of ", max_image_tokens(config), " image tokens leaves no room in decoder.max_context ",
                 config.decoder.max_context, ": image.max_cells, image.crop_side"));
}

}  // namespace

ModelConfig model_preset(const std::string& name) {
  ModelConfig config;
  config.preset = name;
  // A small network binds sooner when its tokens stay with their experts: ties at the start are still broken at random.
  config.decoder.moe.noise_scale = 0.2;
  if (name == "tiny") return config;
  if (name == "toy") {
    config.vision.width = 24;
    config.vision.stem_channels = {8, 16};
    config.vision.num_heads = 2;
    config.vision.mlp_width = 48;
    config.vision.num_layers = 1;
    config.decoder.width = 32;
    config.decoder.num_layers = 2;
    config.decoder.num_heads = 2;
    config.decoder.num_kv_heads = 2;
    config.decoder.head_dim = 16;
    config.decoder.moe.num_experts = 4;
    config.decoder.moe.hidden = 32;
    return config;
  }
  if (name == "small") {
    config.vision.width = 192;
    config.vision.stem_channels = {48, 96};
    config.vision.mlp_width = 768;
    config.vision.num_layers = 4;
    config.decoder.width = 256;
    config.decoder.num_layers = 4;
    config.decoder.num_heads = 8;
    config.decoder.num_kv_heads = 8;
    config.decoder.head_dim = 32;
    config.decoder.moe.hidden = 256;
    return config;
  }
  if (name == "base") {
    config.vision.width = 384;
    config.vision.stem_channels = {96, 192};
    config.vision.mlp_width = 1536;
    config.vision.num_layers = 6;
    config.decoder.width = 512;
    config.decoder.num_layers = 8;
    config.decoder.num_heads = 8;
    config.decoder.num_kv_heads = 8;
    config.decoder.head_dim = 64;
    config.decoder.moe.hidden = 512;
    return config;
  }
  throw invalid_argument("model", "unknown model preset ", name, "; known: toy, tiny, small, base");
}

ModelConfig parse_model_config(std::string_view json_text) {
  const nlohmann::json json = parse_object(json_text);
  if (const auto type = json.find("model_type"); type != json.end() && *type == kVisionModelType) {
    require(false, concat("model_type ", kVisionModelType, " is a vision encoder alone: give it to sparsefusion-train --vit-init"));
  }
  const ModelConfig defaults;
  check_keys(json, nlohmann::json(defaults), "");
  const ModelConfig config = json.get<ModelConfig>();
  check(config);
  return config;
}

VisionModelConfig parse_vision_config(std::string_view json_text) {
  const nlohmann::json json = parse_object(json_text);
  VisionModelConfig config;
  if (const auto type = json.find("model_type"); type == json.end() || *type != kVisionModelType) {
    ModelConfig whole = parse_model_config(json_text);
    set_projector(whole, "mlp");  // whose cells are the encoder's tokens
    return {whole.image, whole.vision};
  }
  check_keys(json, {{"model_type", kVisionModelType}, {"image", ImageConfig{}}, {"vision", VisionConfig{}}}, "");
  config = {json.at("image").get<ImageConfig>(), json.at("vision").get<VisionConfig>()};
  check_vision(config.vision);
  check_image(config.image, config.vision, 1);
  return config;
}

std::string to_json(const VisionModelConfig& config) {
  return nlohmann::json({{"model_type", kVisionModelType}, {"image", config.image}, {"vision", config.vision}}).dump(2) + "\n";
}

std::string preprocessor_json(const ImageConfig& image) {
  nlohmann::ordered_json json = {{"do_resize", true}, {"resample", "bicubic"}, {"antialias", true}};
  if (image.resize == "crop") {
    json.update({{"keep_aspect_ratio", true}, {"size", {{"shortest_edge", image.resize_side}}}, {"do_center_crop", true},
                 {"crop_size", {{"height", image.crop_side}, {"width", image.crop_side}}}, {"crop_offset", image.crop_offset}});
  } else {
    json.update({{"keep_aspect_ratio", true}, {"cell_size", image.cell_size}, {"max_cells", image.max_cells},
                 {"max_side_cells", image.max_side_cells}});
  }
  json["image_mean"] = image.mean;
  json["image_std"] = image.std;
  return json.dump(2) + "\n";
}

int projector_shuffle(const std::string& projector) { return projector == "shuffle2" ? 2 : 1; }

ImageTokenRule image_token_rule(const ModelConfig& config) {
  return {config.vision.features == "patches" ? 0 : 1, config.vision.features != "class"};
}

int max_image_tokens(const ModelConfig& config) {
  const ImageConfig& image = config.image;
  const int side = image.crop_side / image.cell_size;
  return image.resize == "crop" ? image_token_rule(config).count(side, side) : image_token_rule(config).count(1, image.max_cells);
}

void set_projector(ModelConfig& config, const std::string& projector) {
  require_one_of(projector, {"shuffle2", "mlp", "cls"}, "projector");
  const int before = config.image.cell_size, after = config.vision.token_size * projector_shuffle(projector);
  config.projector = projector;
  config.image.cell_size = after;
  config.image.max_side_cells = config.image.max_side_cells * before / after;
  config.image.max_cells = static_cast<int>(int64_t{config.image.max_cells} * before * before / after / after);
  if (projector == "cls") {
    config.vision.class_token = true;
    config.vision.features = "class";
  } else if (config.vision.features == "class") {
    config.vision.features = "patches";
  }
}

std::string to_json(const ModelConfig& config) { return nlohmann::ordered_json(nlohmann::json(config)).dump(2) + "\n"; }

double num_weights(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const DecoderConfig& d = config.decoder;
  const double w = v.width, m = v.mlp_width, width = d.width, experts = d.moe.num_experts;
  double total = 0, inputs = v.coordinates ? 5 : 3;
  if (v.stem == "linear") {
    total = w * inputs * v.token_size * v.token_size + (v.stem_bias ? w : 0);
  } else {
    const bool patch = v.stem == "patch";
    for (size_t i = 0; i < (patch ? 1 : v.stem_strides.size()); ++i) {
      const double outputs = !patch && i < v.stem_channels.size() ? v.stem_channels[i] : w;
      const double kernel = patch ? v.token_size : v.stem_strides[i] + 1 + v.stem_strides[i] % 2;
      total += outputs * (inputs * kernel * kernel + 3);
      inputs = outputs;
    }
    total += w * w + w;
  }
  const double offsets = 2.0 * v.max_side - 1;
  const double bias_table = v.relative_bias ? v.num_heads * offsets * offsets : 0;
  const double table = double(v.position_rows) * v.position_columns + (v.class_token ? 1 : 0);
  total += w * (v.position_embedding == "table" ? table : 2.0 * v.max_side) + (v.class_token ? w : 0);
  total += (v.pre_norm ? 2 * w : 0) + (v.final_norm ? 2 * w : 0);
  total += v.num_layers * (4 * w * w + 9 * w + 2 * w * m + m + bias_table + (v.layer_scale ? 2 * w : 0));
  const double shuffle = projector_shuffle(config.projector), joined = w * shuffle * shuffle;
  const double hidden = config.projector_hidden > 0 ? config.projector_hidden : 2 * width;
  total += (config.projector_norm ? 2 * joined : 0) + hidden * (joined + 1) + width * (hidden + 1);
  total += config.modality_embedding ? 2 * width : 0;
  const double heads = 2.0 * d.num_heads + 2.0 * d.num_kv_heads;
  const double routers = d.moe.noisy ? 2 : 1;
  total += d.vocab_size * width + width;
  return total + d.num_layers * width * (2 + heads * d.head_dim + experts * (routers + 3.0 * d.moe.hidden));
}

}  // namespace sf
