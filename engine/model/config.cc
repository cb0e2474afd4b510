#include "engine/model/config.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(VisionConfig, token_size, stem, stem_channels, stem_strides, coordinates, width,
                                                num_layers, num_heads, mlp_width, relative_bias, max_side, norm_eps)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MoeConfig, num_experts, top_k, hidden, activation, expert_bias, shared_hidden, router_softmax,
                                   router_bias, renormalise, bias_balancing, noise_scale, noise_epsilon, noisy, capacity_factor,
                                   drop_order, dropout, dropout_rate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DecoderConfig, vocab_size, width, num_layers, num_heads, num_kv_heads, head_dim,
                                   positions, rope, rope_theta, rope_fraction, rope_interleaved, norm, norm_eps,
                                   residual_after_norm, qk_norm, attention_bias, attention_out_bias, attention_scale,
                                   scale_embedding, tied_head, head_bias, max_context, moe)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ImageConfig, cell_size, max_cells, max_side_cells, mean, std)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelConfig, model_type, preset, image, vision, projector, modality_embedding,
                                   decoder, prompt_template)

namespace {

constexpr int kMaxSize = 1 << 20;

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
  require(v.stem == "conv" || v.stem == "patch", "vision.stem must be conv or patch, got " + v.stem);
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

bool one_of(const std::string& value, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return value == name; });
}

void check_moe(const MoeConfig& moe) {
  require_size(moe.num_experts, "decoder.moe.num_experts", 1024);
  require_size(moe.top_k, "decoder.moe.top_k", moe.num_experts);
  require_size(moe.hidden, "decoder.moe.hidden");
  require(one_of(moe.activation, {"swiglu", "gelu", "relu"}),
          "decoder.moe.activation must be swiglu, gelu or relu, got " + moe.activation);
  require(moe.shared_hidden >= 0 && moe.shared_hidden <= kMaxSize,
          concat("decoder.moe.shared_hidden must be 0..", kMaxSize, ", got ", moe.shared_hidden));
  require(one_of(moe.router_softmax, {"after", "before"}),
          "decoder.moe.router_softmax must be before or after, got " + moe.router_softmax);
  const bool constant_gate = moe.router_softmax == "after" || moe.renormalise;
  require(moe.top_k > 1 || moe.num_experts == 1 || !constant_gate,
          "decoder.moe: top_k 1 needs router_softmax before and no renormalise: otherwise the one gate is the constant 1");
  require(moe.noise_scale >= 0, "decoder.moe.noise_scale must not be negative");
  require(moe.noise_epsilon >= 0, "decoder.moe.noise_epsilon must not be negative");
  require(moe.capacity_factor >= 0 && moe.capacity_factor <= 1000, "decoder.moe.capacity_factor must be 0..1000");
  require(one_of(moe.drop_order, {"position", "choice", "probability", "batch_priority"}),
          "decoder.moe.drop_order must be position, choice, probability or batch_priority, got " + moe.drop_order);
  require(one_of(moe.dropout, {"output", "hidden", "expert"}),
          "decoder.moe.dropout must be output, hidden or expert, got " + moe.dropout);
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
  require(d.norm == "rms" || d.norm == "layer", "decoder.norm must be rms or layer, got " + d.norm);
  require(d.positions == "rope" || d.positions == "learned", "decoder.positions must be rope or learned, got " + d.positions);
  require(d.rope == "1d" || d.rope == "mrope2d", "decoder.rope must be 1d or mrope2d, got " + d.rope);
  require(d.rope == "1d" || d.positions == "rope", "decoder.rope mrope2d needs decoder.positions rope");
  require(d.rope == "1d" || rotated_channels(d) >= 8, "decoder.rope mrope2d needs 8 rotated channels of a head or more");
  require(d.attention_scale >= 0 && d.attention_scale <= 1e4, "decoder.attention_scale must be 0..10000");
  check_moe(d.moe);
}

// Of one layer's router, experts and shared expert.
double moe_weights(const DecoderConfig& d) {
  const MoeConfig& moe = d.moe;
  const double width = d.width;
  auto expert = [&](double hidden) {
    const double up = moe.activation == "swiglu" ? 2 * hidden : hidden;
    return width * (up + hidden) + (moe.expert_bias ? up + width : 0);
  };
  const double router = (moe.noisy ? 2 : 1) * (width + (moe.router_bias ? 1 : 0)) + (moe.bias_balancing ? 1 : 0);
  return moe.num_experts * (router + expert(moe.hidden)) + (moe.shared_hidden > 0 ? expert(moe.shared_hidden) : 0);
}

void check(const ModelConfig& config) {
  require(config.model_type == "sparsefusion",
          "model_type " + config.model_type + " is unknown; supported: sparsefusion");
  require(config.projector == "shuffle2" || config.projector == "mlp" || config.projector == "none",
          "projector must be shuffle2, mlp or none, got " + config.projector);
  require(one_of(config.prompt_template, {"plain", "llava-1.5", "mistral"}),
          "prompt_template must be plain, llava-1.5 or mistral, got " + config.prompt_template);
  check_decoder(config.decoder);
  if (!config.has_vision()) return;
  check_vision(config.vision);
  const ImageConfig& image = config.image;
  const int shuffle = config.projector == "shuffle2" ? 2 : 1;
  require(image.cell_size == config.vision.token_size * shuffle,
          "image.cell_size must be vision.token_size times the projector's shuffle");
  require_size(image.max_cells, "image.max_cells", 1 << 16);
  require_size(image.max_side_cells, "image.max_side_cells", 256);
  require(image.max_side_cells * shuffle <= config.vision.max_side, "image.max_side_cells exceeds vision.max_side");
  require(image.max_cells < config.decoder.max_context, "image.max_cells must leave room in decoder.max_context");
  require(image.std > 0, "image.std must be positive");
}

}  // namespace

int rotated_channels(const DecoderConfig& config) {
  if (config.positions != "rope") return 0;
  return static_cast<int>(config.head_dim * config.rope_fraction) / 2 * 2;
}

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
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(json_text);
  } catch (const nlohmann::json::exception& error) {
    require(false, error.what());
  }
  require(json.is_object(), "not a JSON object");
  const ModelConfig defaults;
  check_keys(json, nlohmann::json(defaults), "");
  const ModelConfig config = json.get<ModelConfig>();
  check(config);
  return config;
}

std::string to_json(const ModelConfig& config) { return nlohmann::ordered_json(nlohmann::json(config)).dump(2) + "\n"; }

namespace {

double num_vision_weights(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const double w = v.width, m = v.mlp_width, width = config.decoder.width;
  const bool patch = v.stem == "patch";
  double total = 0, inputs = v.coordinates ? 5 : 3;
  for (size_t i = 0; i < (patch ? 1 : v.stem_strides.size()); ++i) {
    const double outputs = !patch && i < v.stem_channels.size() ? v.stem_channels[i] : w;
    const double kernel = patch ? v.token_size : v.stem_strides[i] + 1 + v.stem_strides[i] % 2;
    total += outputs * (inputs * kernel * kernel + 3);
    inputs = outputs;
  }
  const double offsets = 2.0 * v.max_side - 1;
  const double bias_table = v.relative_bias ? v.num_heads * offsets * offsets : 0;
  total += w * w + w + 2.0 * v.max_side * w + 2 * w;
  total += v.num_layers * (4 * w * w + 9 * w + 2 * w * m + m + bias_table);
  const double joined = w * (config.projector == "shuffle2" ? 4 : 1);
  return total + 2 * joined + 2 * width * joined + 2 * width * width + 3 * width;
}

double num_decoder_weights(const DecoderConfig& d) {
  const double width = d.width, vocab = d.vocab_size, head_dim = d.head_dim;
  const double norm = d.norm == "layer" ? 2 * width : width;
  double total = vocab * width + norm;
  if (d.positions == "learned") total += double(d.max_context) * width;
  if (!d.tied_head) total += vocab * width;
  if (d.head_bias) total += vocab;
  const double query_width = d.num_heads * head_dim, key_width = d.num_kv_heads * head_dim;
  double layer = 2 * norm + width * (2 * query_width + 2 * key_width);
  if (d.attention_bias) layer += query_width + 2 * key_width;
  if (d.attention_out_bias) layer += width;
  if (d.qk_norm) layer += 2 * head_dim;
  layer += moe_weights(d);
  return total + d.num_layers * layer;
}

}  // namespace

double num_weights(const ModelConfig& config) {
  const double total = num_decoder_weights(config.decoder) + (config.has_vision() ? num_vision_weights(config) : 0);
  return total + (config.modality_embedding ? 2.0 * config.decoder.width : 0);
}

}  // namespace sf
