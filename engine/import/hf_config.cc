#include "engine/import/hf_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/strict_json.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int64_t kMaxJsonBytes = 16 << 20;
constexpr int64_t kMaxSide = 1 << 20;

// One object of one file: typed access with defaults, and errors that name both.
class Section {
 public:
  Section(const Json& json, std::string name) : json_(json), name_(std::move(name)) {
    if (!json_.is_object()) throw invalid_argument(name_, name_, ": must be an object");
  }

  // A key that is absent or null does not count.
  const Json* find(const std::string& key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  int64_t integer(const std::string& key, int64_t fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number_integer() || *value < 1 || *value > kMaxSide)
      fail(key, concat("must be an integer from 1 to ", kMaxSide));
    return value->get<int64_t>();
  }
  double number(const std::string& key, double fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_number()) fail(key, "must be a number");
    return value->get<double>();
  }
  bool flag(const std::string& key, bool fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_boolean()) fail(key, "must be true or false");
    return value->get<bool>();
  }
  std::string text(const std::string& key, const std::string& fallback) const {
    const Json* value = find(key);
    if (!value) return fallback;
    if (!value->is_string()) fail(key, "must be text");
    return value->get<std::string>();
  }
  [[noreturn]] void fail(const std::string& key, const std::string& reason) const {
    throw invalid_argument(key, name_, ": ", key, " ", reason);
  }
  const std::string& name() const { return name_; }

 private:
  const Json& json_;
  std::string name_;
};

Json read_json(const fs::path& directory, const std::string& name) {
  return parse_strict_json(read_file(directory / name, kMaxJsonBytes), name);
}

Json read_json_or_empty(const fs::path& directory, const std::string& name) {
  return fs::exists(directory / name) ? read_json(directory, name) : Json::object();
}

const std::vector<std::string> kArchitectures = {"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM",
                                                 "LlavaForConditionalGeneration"};
const std::vector<std::string> kTextTypes = {"llama", "mistral", "mixtral"};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// rope_theta of older files, rope_parameters of transformers 5; any scaling of the angles is refused.
double rope_theta(const Section& section, double fallback) {
  double theta = section.number("rope_theta", fallback);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const Json* value = section.find(key);
    if (!value) continue;
    const Section rope(*value, section.name() + " " + key);
    const std::string type = rope.text("rope_type", rope.text("type", "default"));
    if (type != "default") section.fail(key, "of type " + type + " is not supported; supported: default");
    theta = rope.number("rope_theta", theta);
  }
  return theta;
}

HfText read_text(const Json& json, const std::string& name) {
  const Section section(json, name);
  HfText text;
  text.model_type = section.text("model_type", "llama");
  if (!contains(kTextTypes, text.model_type)) {
    section.fail("model_type", text.model_type + " is not supported as text model; supported: " + joined(kTextTypes));
  }
  const bool llama = text.model_type == "llama", mixtral = text.model_type == "mixtral";
  text.vocab_size = section.integer("vocab_size", 32000);
  text.hidden_size = section.integer("hidden_size", 4096);
  text.intermediate_size = section.integer("intermediate_size", llama ? 11008 : 14336);
  text.num_layers = section.integer("num_hidden_layers", 32);
  text.num_heads = section.integer("num_attention_heads", 32);
  text.num_kv_heads = section.integer("num_key_value_heads", llama ? text.num_heads : 8);
  text.head_dim = section.integer("head_dim", std::max<int64_t>(1, text.hidden_size / text.num_heads));
  text.max_context = section.integer("max_position_embeddings", llama ? 2048 : 131072);
  text.norm_eps = section.number("rms_norm_eps", mixtral ? 1e-5 : 1e-6);
  text.rope_theta = rope_theta(section, mixtral ? 1e6 : 10000.0);
  text.tied_head = section.flag("tie_word_embeddings", false);
  text.attention_bias = section.flag("attention_bias", false);
  if (section.flag("mlp_bias", false)) section.fail("mlp_bias", "true is not supported");
  const std::string act = section.text("hidden_act", "silu");
  if (act != "silu") section.fail("hidden_act", act + " is not supported; supported: silu");
  if (mixtral) {
    text.num_experts = section.integer("num_local_experts", 8);
    text.top_k = section.integer("num_experts_per_tok", 2);
  }
  if (!llama) {
    // Where the key is there and null there is no window; Mistral's class has one by default.
    const bool by_default = text.model_type == "mistral" && !json.contains("sliding_window");
    const int64_t window = by_default ? 4096 : section.integer("sliding_window", kMaxSide);
    text.max_context = std::min(text.max_context, window);
  }
  return text;
}

std::string vision_activation(const Section& section) {
  const std::string act = section.text("hidden_act", "quick_gelu");
  if (act == "quick_gelu" || act == "gelu") return act;
  if (act == "gelu_pytorch_tanh" || act == "gelu_new") return "gelu_tanh";
  section.fail("hidden_act", act + " is not supported; supported: quick_gelu, gelu, gelu_pytorch_tanh");
}

HfVision read_vision(const Json& config) {
  const Section top(config, "config.json");
  const Json empty = Json::object();
  const Json* json = top.find("vision_config");
  const Section section(json ? *json : empty, "config.json vision_config");
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
int64_t side_of(const Section& section, const std::string& key, const std::string& inner, int64_t fallback) {
  const Json* value = section.find(key);
  if (!value || !value->is_object()) return section.integer(key, fallback);
  const Section sizes(*value, section.name() + " " + key);
  if (!sizes.find(inner)) section.fail(key, "must have " + inner);
  return sizes.integer(inner, fallback);
}

std::vector<double> channels_of(const Section& section, const std::string& key, std::vector<double> fallback) {
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
  const Section section(json, name);
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

std::vector<int64_t> ids_of(const Json& value, const std::string& name) {
  std::vector<int64_t> ids;
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (!id.is_number_integer() || id < 0 || id > kMaxSide)
      throw invalid_argument("eos_token_id", name, ": eos_token_id must be token ids");
    ids.push_back(id);
  }
  return ids;
}

// The first that names them: generation_config.json, the text section, the top; 2 where none does.
std::vector<int64_t> read_eos(const Json& generation, const Json& text, const Json& config) {
  for (const Json* json : {&generation, &text, &config}) {
    const auto found = json->find("eos_token_id");
    if (found != json->end() && !found->is_null()) return ids_of(*found, "config.json");
  }
  return {2};
}

// The parts of a tokenizer.json's normalizer or pre_tokenizer, which is one, a Sequence of some, or null.
std::vector<Json> steps_of(const Json& tokenizer, const std::string& key, const std::string& list) {
  const Section section(tokenizer, "tokenizer.json");
  const Json* step = section.find(key);
  if (!step) return {};
  const Section outer(*step, "tokenizer.json " + key);
  if (outer.text("type", "") != "Sequence") return {*step};
  const Json* inner = outer.find(list);
  return inner && inner->is_array() ? inner->get<std::vector<Json>>() : std::vector<Json>{};
}

// "" where the file says nothing of it.
std::string prefix_space_of(const Json& tokenizer) {
  for (const Json& step : steps_of(tokenizer, "normalizer", "normalizers")) {
    if (Section(step, "tokenizer.json normalizer").text("type", "") == "Prepend") return "always";
  }
  for (const Json& step : steps_of(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const Section section(step, "tokenizer.json pre_tokenizer");
    if (section.text("type", "") != "Metaspace") continue;
    const std::string scheme = section.text("prepend_scheme", "always");
    if (scheme == "first") return "first";
    if (scheme != "always") section.fail("prepend_scheme", scheme + " is not supported; supported: always, first");
    return "unspaced";
  }
  return "";
}

// What transformers 5 makes of `legacy`. Its LlamaTokenizer, which only a Llama of that tokenizer_class gets, takes it
// for false where it is absent and leaves tokenizer.json aside; elsewhere tokenizer.json counts, and absent is true.
std::string read_prefix_space(const fs::path& directory, const Section& section, const HfConfig& hf) {
  const std::string type = section.text("tokenizer_class", "");
  const bool llama_class =
      hf.architecture == "LlamaForCausalLM" && (type == "LlamaTokenizer" || type == "LlamaTokenizerFast");
  if (llama_class) return section.flag("legacy", false) ? "unspaced" : "first";
  const std::string stored = prefix_space_of(read_json_or_empty(directory, "tokenizer.json"));
  if (!stored.empty()) return stored;
  return section.flag("legacy", true) ? "always" : "first";
}

// Spaces beside a control token that are cut off with it would move the text that a template puts there.
void require_no_strip(const Section& token, int64_t id, const HfConfig& hf) {
  const bool placed = id == hf.image_token || std::find(hf.eos.begin(), hf.eos.end(), id) != hf.eos.end();
  for (const char* key : {"lstrip", "rstrip"}) {
    if (placed && token.flag(key, false)) token.fail(key, concat("true is not supported, token ", id));
  }
}

void read_tokens(const fs::path& directory, HfConfig& out) {
  const Json json = read_json_or_empty(directory, "tokenizer_config.json");
  const Section section(json, "tokenizer_config.json");
  out.prefix_space = read_prefix_space(directory, section, out);
  out.add_bos = section.flag("add_bos_token", true);
  if (section.flag("add_eos_token", false)) section.fail("add_eos_token", "true is not supported");
  const auto add = [&](int64_t id, const std::string& content) {
    const auto [at, fresh] = out.added_tokens.emplace(id, content);
    if (!fresh && at->second != content) section.fail("added_tokens_decoder", concat("gives id ", id, " two texts"));
  };
  if (const Json* decoder = section.find("added_tokens_decoder")) {
    if (!decoder->is_object()) section.fail("added_tokens_decoder", "must be an object");
    for (const auto& [key, token] : decoder->items()) {
      const bool digits = !key.empty() && key.size() < 8 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!digits) section.fail("added_tokens_decoder", "has a key that is no token id: " + key);
      const Section added(token, "tokenizer_config.json added_tokens_decoder");
      require_no_strip(added, std::stoll(key), out);
      add(std::stoll(key), added.text("content", ""));
    }
  }
  const Json added = read_json_or_empty(directory, "added_tokens.json");
  if (!added.is_object()) throw invalid_argument("added_tokens.json", "added_tokens.json: must be an object");
  for (const auto& [content, id] : added.items()) {
    if (!id.is_number_integer() || id < 0 || id > kMaxSide)
      throw invalid_argument(content, "added_tokens.json: '", content, "' has no token id");
    add(id, content);
  }
}

nlohmann::ordered_json our_generation(const Json& json) {
  const Section section(json, "generation_config.json");
  nlohmann::ordered_json ours = {{"do_sample", section.flag("do_sample", false)}};
  for (const char* key : {"temperature", "top_p"}) {
    if (section.find(key)) ours[key] = section.number(key, 1);
  }
  if (const Json* top_k = section.find("top_k")) {
    if (!top_k->is_number_integer() || *top_k < 0 || *top_k > kMaxSide) section.fail("top_k", "must be a count");
    ours["top_k"] = *top_k;
  }
  ours["max_new_tokens"] = section.integer("max_new_tokens", 256);
  return ours;
}

}  // namespace

std::string supported_hf_architectures() { return joined(kArchitectures); }

HfConfig read_hf_config(const fs::path& directory) {
  const Json config = read_json(directory, "config.json");
  const Section top(config, "config.json");
  HfConfig out;
  const Json* architectures = top.find("architectures");
  const bool named =
      architectures && architectures->is_array() && architectures->size() == 1 && architectures->front().is_string();
  out.architecture = named ? architectures->front().get<std::string>() : top.text("model_type", "none");
  if (!contains(kArchitectures, out.architecture)) {
    top.fail("architectures",
             concat("says ", out.architecture, ", which is not supported; supported: ", supported_hf_architectures()));
  }
  out.has_vision = out.architecture == "LlavaForConditionalGeneration";
  const Json empty = Json::object();
  const Json* text_json = top.find("text_config");
  const Json& text = !out.has_vision ? config : text_json ? *text_json : empty;
  out.text = read_text(text, out.has_vision ? "config.json text_config" : "config.json");
  if (out.has_vision) {
    out.text.tied_head = out.text.tied_head || top.flag("tie_word_embeddings", false);
    out.vision = read_vision(config);
    out.image = read_image(directory, out.vision);
    out.image_token = top.integer("image_token_index", top.integer("image_token_id", 32000));
    if (out.image_token >= out.text.vocab_size) top.fail("image_token_index", "must be below the text's vocab_size");
  }
  const Json generation = read_json_or_empty(directory, "generation_config.json");
  out.eos = read_eos(generation, text, config);
  out.generation = our_generation(generation);
  read_tokens(directory, out);
  return out;
}

}  // namespace sf
