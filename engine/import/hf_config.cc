#include "engine/import/hf_config.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/import/hf_family.h"
#include "engine/import/json_section.h"

namespace sf {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// rope_theta of older files, rope_parameters of transformers 5; any scaling of the angles is refused.
double rope_theta(const JsonSection& section, double fallback) {
  double theta = section.number("rope_theta", fallback);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const Json* value = section.find(key);
    if (!value) continue;
    const JsonSection rope(*value, section.name() + " " + key);
    const std::string type = rope.text("rope_type", rope.text("type", "default"));
    if (type != "default") section.fail(key, "of type " + type + " is not supported; supported: default");
    theta = rope.number("rope_theta", theta);
  }
  return theta;
}

HfText read_text(const Json& json, const std::string& name) {
  const JsonSection section(json, name);
  HfText text;
  text.model_type = section.text("model_type", "llama");
  const HfTextFamily* family = find_hf_text_family(text.model_type);
  if (!family) {
    section.fail("model_type",
                 text.model_type + " is not supported as text model; supported: " + supported_hf_text_families());
  }
  text.vocab_size = section.integer("vocab_size", 32000);
  text.hidden_size = section.integer("hidden_size", 4096);
  text.intermediate_size = section.integer("intermediate_size", family->intermediate_size);
  text.num_layers = section.integer("num_hidden_layers", 32);
  text.num_heads = section.integer("num_attention_heads", 32);
  text.num_kv_heads =
      section.integer("num_key_value_heads", family->num_kv_heads > 0 ? family->num_kv_heads : text.num_heads);
  text.head_dim = section.integer("head_dim", std::max<int64_t>(1, text.hidden_size / text.num_heads));
  text.max_context = section.integer("max_position_embeddings", family->max_context);
  text.norm_eps = section.number("rms_norm_eps", family->norm_eps);
  text.rope_theta = rope_theta(section, family->rope_theta);
  text.tied_head = section.flag("tie_word_embeddings", false);
  text.attention_bias = section.flag("attention_bias", false);
  if (section.flag("mlp_bias", false)) section.fail("mlp_bias", "true is not supported");
  const std::string act = section.text("hidden_act", "silu");
  if (act != "silu") section.fail("hidden_act", act + " is not supported; supported: silu");
  if (family->routed) {
    text.num_experts = section.integer("num_local_experts", 8);
    text.top_k = section.integer("num_experts_per_tok", 2);
  }
  if (family->has_window) {
    const bool by_default = family->default_window > 0 && !json.contains("sliding_window");
    const int64_t window = by_default ? family->default_window : section.integer("sliding_window", kMaxJsonInteger);
    text.max_context = std::min(text.max_context, window);
  }
  return text;
}

std::vector<int64_t> ids_of(const Json& value, const std::string& name) {
  std::vector<int64_t> ids;
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (!id.is_number_integer() || id < 0 || id > kMaxJsonInteger)
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
  const JsonSection section(tokenizer, "tokenizer.json");
  const Json* step = section.find(key);
  if (!step) return {};
  const JsonSection outer(*step, "tokenizer.json " + key);
  if (outer.text("type", "") != "Sequence") return {*step};
  const Json* inner = outer.find(list);
  return inner && inner->is_array() ? inner->get<std::vector<Json>>() : std::vector<Json>{};
}

// "" where the file says nothing of it.
std::string prefix_space_of(const Json& tokenizer) {
  for (const Json& step : steps_of(tokenizer, "normalizer", "normalizers")) {
    if (JsonSection(step, "tokenizer.json normalizer").text("type", "") == "Prepend") return "always";
  }
  for (const Json& step : steps_of(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const JsonSection section(step, "tokenizer.json pre_tokenizer");
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
std::string read_prefix_space(const fs::path& directory, const JsonSection& section, const HfConfig& hf) {
  const std::string type = section.text("tokenizer_class", "");
  const bool llama_class =
      hf.architecture == "LlamaForCausalLM" && (type == "LlamaTokenizer" || type == "LlamaTokenizerFast");
  if (llama_class) return section.flag("legacy", false) ? "unspaced" : "first";
  const std::string stored = prefix_space_of(read_json_or_empty(directory, "tokenizer.json"));
  if (!stored.empty()) return stored;
  return section.flag("legacy", true) ? "always" : "first";
}

// Spaces beside a control token that are cut off with it would move the text that a template puts there.
void require_no_strip(const JsonSection& token, int64_t id, const HfConfig& hf) {
  const bool placed = id == hf.image_token || std::find(hf.eos.begin(), hf.eos.end(), id) != hf.eos.end();
  for (const char* key : {"lstrip", "rstrip"}) {
    if (placed && token.flag(key, false)) token.fail(key, concat("true is not supported, token ", id));
  }
}

void read_tokens(const fs::path& directory, HfConfig& out) {
  const Json json = read_json_or_empty(directory, "tokenizer_config.json");
  const JsonSection section(json, "tokenizer_config.json");
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
      const JsonSection added(token, "tokenizer_config.json added_tokens_decoder");
      require_no_strip(added, std::stoll(key), out);
      add(std::stoll(key), added.text("content", ""));
    }
  }
  const Json added = read_json_or_empty(directory, "added_tokens.json");
  if (!added.is_object()) throw invalid_argument("added_tokens.json", "added_tokens.json: must be an object");
  for (const auto& [content, id] : added.items()) {
    if (!id.is_number_integer() || id < 0 || id > kMaxJsonInteger)
      throw invalid_argument(content, "added_tokens.json: '", content, "' has no token id");
    add(id, content);
  }
}

nlohmann::ordered_json our_generation(const Json& json) {
  const JsonSection section(json, "generation_config.json");
  nlohmann::ordered_json ours = {{"do_sample", section.flag("do_sample", false)}};
  for (const char* key : {"temperature", "top_p"}) {
    if (section.find(key)) ours[key] = section.number(key, 1);
  }
  if (const Json* top_k = section.find("top_k")) {
    if (!top_k->is_number_integer() || *top_k < 0 || *top_k > kMaxJsonInteger) section.fail("top_k", "must be a count");
    ours["top_k"] = *top_k;
  }
  ours["max_new_tokens"] = section.integer("max_new_tokens", 256);
  return ours;
}

}  // namespace

HfConfig read_hf_config(const fs::path& directory) {
  const Json config = read_json(directory, "config.json");
  const JsonSection top(config, "config.json");
  HfConfig out;
  const Json* architectures = top.find("architectures");
  const bool named =
      architectures && architectures->is_array() && architectures->size() == 1 && architectures->front().is_string();
  out.architecture = named ? architectures->front().get<std::string>() : top.text("model_type", "none");
  const HfArchitecture* architecture = find_hf_architecture(out.architecture);
  if (!architecture) {
    top.fail("architectures",
             concat("says ", out.architecture, ", which is not supported; supported: ", supported_hf_architectures()));
  }
  out.has_vision = architecture->vision != nullptr;
  const Json empty = Json::object();
  const Json* text_json = top.find("text_config");
  const Json& text = !out.has_vision ? config : text_json ? *text_json : empty;
  out.text = read_text(text, out.has_vision ? "config.json text_config" : "config.json");
  if (out.has_vision) architecture->vision->read(config, directory, out);
  const Json generation = read_json_or_empty(directory, "generation_config.json");
  out.eos = read_eos(generation, text, config);
  out.generation = our_generation(generation);
  read_tokens(directory, out);
  return out;
}

}  // namespace sf
