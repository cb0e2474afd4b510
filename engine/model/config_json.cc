// config.json as text: the one strict parser, and the checks of what it has read.
#include "engine/model/config.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {

template <ConfigEnum E>
void to_json(nlohmann::json& json, const E& value) {
  json = config_word(value);
}
template <ConfigEnum E>
void to_json(nlohmann::ordered_json& json, const E& value) {
  json = config_word(value);
}

// REQUIRES: a known word. check_words() has refused any other by its key.
template <ConfigEnum E>
void from_json(const nlohmann::json& json, E& value) {
  const std::optional<E> known = config_value<E>(json.get<std::string>());
  SF_CHECK(known, "config.json: a key with ", json.dump(), " is missing from word_keys()");
  value = *known;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VisionConfig, token_size, stem, stem_bias, stem_channels, stem_strides,
                                                coordinates, class_token, position_embedding, position_rows,
                                                position_columns, width, num_layers, num_heads, mlp_width, activation,
                                                layer_scale, pre_norm, final_norm, residual_after_norm, relative_bias,
                                                max_side, norm_eps, features, deepstack_layers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MoeConfig, num_experts, top_k, hidden, activation, expert_bias,
                                                shared_hidden, router_softmax, router_bias, renormalise, bias_balancing,
                                                noise_scale, noise_epsilon, noisy, capacity_factor, drop_order, dropout,
                                                dropout_rate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DecoderConfig, vocab_size, width, num_layers, num_heads, num_kv_heads,
                                                head_dim, positions, rope, rope_theta, rope_fraction, rope_interleaved,
                                                norm, norm_eps, residual_after_norm, qk_norm, attention_bias,
                                                attention_out_bias, attention_scale, scale_embedding, tied_head,
                                                head_bias, max_context, dense_layers, dense_hidden, moe)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ImageConfig, cell_size, resize, resample, max_cells, max_side_cells,
                                                resize_side, crop_side, crop_offset, mean, std, max_images)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelConfig, model_type, preset, dtype, image, vision, projector,
                                                projector_norm, projector_hidden, modality_embedding, decoder,
                                                prompt_template, single_turn, normalize_questions)

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
  // A list that is empty by default holds numbers of layers.
  const nlohmann::json of_list = example.empty() ? nlohmann::json(0) : example.front();
  return std::all_of(value.begin(), value.end(),
                     [&](const nlohmann::json& element) { return same_type(element, of_list); });
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
    require(same_type(*found, value),
            path + key + " has the wrong type or is out of range; expected something like " + value.dump());
    if (value.is_object()) check_keys(*found, value, path + key + ".");
  }
  for (const auto& [key, value] : json.items()) require(example.contains(key), path + key + " is unknown");
}

void require_size(int value, const std::string& name, int limit = kMaxSize) {
  require(value > 0 && value <= limit, concat(name, " must be 1..", limit, ", got ", value));
}

// A key whose value is one of a few words, for the check that refuses others by its name.
struct WordKey {
  nlohmann::json::json_pointer pointer;
  std::vector<std::string_view> words;
  bool sentence;  // "must be a, b or c, got x" rather than "must be one of a, b, c; got x"
};

template <ConfigEnum E>
WordKey word_key(const char* pointer, bool sentence = false) {
  WordKey key{nlohmann::json::json_pointer(pointer), {}, sentence};
  for (const auto& [value, word] : config_choices(E{})) key.words.push_back(word);
  return key;
}

const std::vector<WordKey>& word_keys() {
  constexpr bool kSentence = true;
  static const std::vector<WordKey> keys = {
      word_key<Dtype>("/dtype"),
      word_key<ProjectorKind>("/projector"),
      word_key<NormKind>("/decoder/norm", kSentence),
      word_key<PositionKind>("/decoder/positions", kSentence),
      word_key<RopeKind>("/decoder/rope", kSentence),
      word_key<ExpertActivation>("/decoder/moe/activation", kSentence),
      word_key<RouterSoftmax>("/decoder/moe/router_softmax", kSentence),
      word_key<DropOrder>("/decoder/moe/drop_order", kSentence),
      word_key<ExpertDropout>("/decoder/moe/dropout", kSentence),
      word_key<StemKind>("/vision/stem"),
      word_key<PositionEmbedding>("/vision/position_embedding"),
      word_key<VisionActivation>("/vision/activation"),
      word_key<VisionFeatures>("/vision/features"),
      word_key<ImageResize>("/image/resize"),
      word_key<ImageResample>("/image/resample"),
      word_key<ImageCropOffset>("/image/crop_offset"),
  };
  return keys;
}

void require_word(const std::string& value, const std::vector<std::string_view>& words, const std::string& name,
                  bool sentence = false) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return;
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool last = sentence && i + 1 == words.size();
    list += concat(i == 0 ? "" : last ? " or " : ", ", words[i]);
  }
  require(false, sentence ? concat(name, " must be ", list, ", got ", value)
                          : concat(name, " must be one of ", list, "; got ", value));
}

// REQUIRES: check_keys() has passed.
void check_words(const nlohmann::json& json) {
  for (const WordKey& key : word_keys()) {
    if (!json.contains(key.pointer)) continue;
    std::string name = key.pointer.to_string().substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    require_word(json.at(key.pointer).get<std::string>(), key.words, name, key.sentence);
  }
}

// Each once, and a layer that is there.
void require_layers(const std::vector<int>& layers, int num_layers, const std::string& name, bool ascending) {
  require(std::ssize(layers) <= num_layers, concat(name, " names ", layers.size(), " layers of ", num_layers));
  std::vector<bool> named(static_cast<size_t>(num_layers));
  for (size_t i = 0; i < layers.size(); ++i) {
    require(layers[i] >= 0 && layers[i] < num_layers,
            concat(name, " must be 0..", num_layers - 1, ", got ", layers[i]));
    require(!named[layers[i]], concat(name, " names layer ", layers[i], " twice"));
    if (ascending && i > 0) {
      require(layers[i] > layers[i - 1], concat(name, " must ascend, got ", layers[i], " behind ", layers[i - 1]));
    }
    named[layers[i]] = true;
  }
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
  require_layers(v.deepstack_layers, v.num_layers, "vision.deepstack_layers", /*ascending=*/true);
  require_size(v.position_rows, "vision.position_rows", 256);
  require_size(v.position_columns, "vision.position_columns", 256);
  require(v.features == VisionFeatures::kPatches || v.class_token,
          concat("vision.features ", v.features, " needs vision.class_token"));
  if (v.stem == StemKind::kConv) {
    require(v.stem_strides.size() <= 8 && v.stem_strides.size() == v.stem_channels.size() + 1,
            "vision.stem_strides needs one entry more than vision.stem_channels");
    for (int channels : v.stem_channels) {
      require_size(channels, "vision.stem_channels", 1 << 14);
      require(channels % kStemGroups == 0, concat("vision.stem_channels must be multiples of ", kStemGroups));
    }
    for (int stride : v.stem_strides) require_size(stride, "vision.stem_strides", 64);
    const int64_t product =
        std::accumulate(v.stem_strides.begin(), v.stem_strides.end(), int64_t{1}, std::multiplies<>());
    require(product == v.token_size, "the product of vision.stem_strides must be vision.token_size");
  }
}

void check_moe(const MoeConfig& moe) {
  require_size(moe.num_experts, "decoder.moe.num_experts", 1024);
  require_size(moe.top_k, "decoder.moe.top_k", moe.num_experts);
  require_size(moe.hidden, "decoder.moe.hidden");
  require(moe.shared_hidden >= 0 && moe.shared_hidden <= kMaxSize,
          concat("decoder.moe.shared_hidden must be 0..", kMaxSize, ", got ", moe.shared_hidden));
  const bool constant_gate = moe.router_softmax == RouterSoftmax::kAfter || moe.renormalise;
  require(
      moe.top_k > 1 || moe.num_experts == 1 || !constant_gate,
      "decoder.moe: top_k 1 needs router_softmax before and no renormalise: otherwise the one gate is the constant 1");
  require(moe.noise_scale >= 0, "decoder.moe.noise_scale must not be negative");
  require(moe.noise_epsilon >= 0, "decoder.moe.noise_epsilon must not be negative");
  require(moe.capacity_factor >= 0 && moe.capacity_factor <= 1000, "decoder.moe.capacity_factor must be 0..1000");
  require(moe.dropout_rate >= 0 && moe.dropout_rate < 1, "decoder.moe.dropout_rate must be 0 or more and below 1");
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
  require(d.rope == RopeKind::k1d || d.positions == PositionKind::kRope,
          "decoder.rope mrope2d needs decoder.positions rope");
  require(d.rope == RopeKind::k1d || rotated_channels(d) >= 8,
          "decoder.rope mrope2d needs 8 rotated channels of a head or more");
  require(d.attention_scale >= 0 && d.attention_scale <= 1e4, "decoder.attention_scale must be 0..10000");
  require_layers(d.dense_layers, d.num_layers, "decoder.dense_layers", /*ascending=*/false);
  require(d.dense_hidden >= 0 && d.dense_hidden <= kMaxSize,
          concat("decoder.dense_hidden must be 0..", kMaxSize, ", got ", d.dense_hidden));
  require(d.dense_layers.empty() == (d.dense_hidden == 0),
          "decoder.dense_layers and decoder.dense_hidden, their width, belong together");
  check_moe(d.moe);
}

void check_image(const ImageConfig& image, const VisionConfig& vision, int shuffle) {
  require(image.cell_size == vision.token_size * shuffle,
          "image.cell_size must be vision.token_size times the projector's shuffle");
  require_size(image.max_cells, "image.max_cells", 1 << 16);
  require_size(image.max_side_cells, "image.max_side_cells", 256);
  require_size(image.resize_side, "image.resize_side", 1 << 12);
  require_size(image.crop_side, "image.crop_side", 1 << 12);
  require_size(image.max_images, "image.max_images", 1024);
  for (double std : image.std) require(std > 0, "image.std must be positive");
  if (image.resize == ImageResize::kFit) {
    require(image.max_side_cells * shuffle <= vision.max_side, "image.max_side_cells exceeds vision.max_side");
    return;
  }
  require(image.resize == ImageResize::kStretch || image.crop_side <= image.resize_side,
          "image.crop_side must not be above image.resize_side");
  require(image.crop_side % image.cell_size == 0,
          concat("image.crop_side ", image.crop_side, " must be a multiple of image.cell_size ", image.cell_size,
                 ": of the token's size and the projector's shuffle"));
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
  require(config.projector_hidden >= 0 && config.projector_hidden <= kMaxSize,
          concat("projector_hidden must be 0..", kMaxSize));
  require_word(config.prompt_template, {"plain", "llava-1.5", "mistral"}, "prompt_template");
  check_decoder(config.decoder);
  const std::vector<int>& injected = config.vision.deepstack_layers;
  require(config.has_vision() || injected.empty(),
          "vision.deepstack_layers needs a vision encoder, and projector none has none");
  if (!config.has_vision()) return;
  check_vision(config.vision);
  require(std::ssize(injected) <= config.decoder.num_layers,
          concat("vision.deepstack_layers names ", injected.size(),
                 " layers, but their features enter behind a decoder layer each, "
                 "and decoder.num_layers is ",
                 config.decoder.num_layers));
  require((config.projector == ProjectorKind::kCls) == (config.vision.features == VisionFeatures::kClass),
          "projector cls and vision.features class belong together");
  require(config.projector != ProjectorKind::kShuffle2 || config.vision.features == VisionFeatures::kPatches,
          "projector shuffle2 needs vision.features patches");
  check_image(config.image, config.vision, projector_shuffle(config.projector));
  require(max_image_tokens(config) < config.decoder.max_context,
          concat("a picture of ", max_image_tokens(config), " image tokens leaves no room in decoder.max_context ",
                 config.decoder.max_context, ": image.max_cells, image.crop_side"));
}

}  // namespace

ModelConfig parse_model_config(std::string_view json_text) {
  const nlohmann::json json = parse_object(json_text);
  if (const auto type = json.find("model_type"); type != json.end() && *type == kVisionModelType) {
    require(false, concat("model_type ", kVisionModelType,
                          " is a vision encoder alone: give it to sparsefusion-train --vit-init"));
  }
  const ModelConfig defaults;
  check_keys(json, nlohmann::json(defaults), "");
  check_words(json);
  const ModelConfig config = json.get<ModelConfig>();
  check(config);
  return config;
}

VisionModelConfig parse_vision_config(std::string_view json_text) {
  const nlohmann::json json = parse_object(json_text);
  VisionModelConfig config;
  if (const auto type = json.find("model_type"); type == json.end() || *type != kVisionModelType) {
    ModelConfig whole = parse_model_config(json_text);
    set_projector(whole, ProjectorKind::kMlp);  // whose cells are the encoder's tokens
    return {whole.image, whole.vision};
  }
  check_keys(json, {{"model_type", kVisionModelType}, {"image", ImageConfig{}}, {"vision", VisionConfig{}}}, "");
  check_words(json);
  config = {json.at("image").get<ImageConfig>(), json.at("vision").get<VisionConfig>()};
  check_vision(config.vision);
  check_image(config.image, config.vision, 1);
  return config;
}

std::string to_json(const VisionModelConfig& config) {
  return nlohmann::json({{"model_type", kVisionModelType}, {"image", config.image}, {"vision", config.vision}})
             .dump(2) +
         "\n";
}

std::string preprocessor_json(const ImageConfig& image) {
  nlohmann::ordered_json json = {{"do_resize", true}, {"resample", image.resample}, {"antialias", true}};
  if (image.resize == ImageResize::kCrop) {
    json.update({{"keep_aspect_ratio", true},
                 {"size", {{"shortest_edge", image.resize_side}}},
                 {"do_center_crop", true},
                 {"crop_size", {{"height", image.crop_side}, {"width", image.crop_side}}},
                 {"crop_offset", image.crop_offset}});
  } else if (image.resize == ImageResize::kStretch) {
    json.update({{"keep_aspect_ratio", false}, {"size", {{"height", image.crop_side}, {"width", image.crop_side}}}});
  } else {
    json.update({{"keep_aspect_ratio", true},
                 {"cell_size", image.cell_size},
                 {"max_cells", image.max_cells},
                 {"max_side_cells", image.max_side_cells}});
  }
  json["image_mean"] = image.mean;
  json["image_std"] = image.std;
  return json.dump(2) + "\n";
}

ProjectorKind parse_projector(std::string_view name) {
  require_word(std::string(name), {"shuffle2", "mlp", "cls"}, "projector");
  return *config_value<ProjectorKind>(name);
}

std::string to_json(const ModelConfig& config) {
  nlohmann::json json = config;
  if (config.dtype == Dtype::kF32) json.erase("dtype");
  return nlohmann::ordered_json(json).dump(2) + "\n";
}

}  // namespace sf
