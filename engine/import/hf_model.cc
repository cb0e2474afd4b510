#include "engine/import/hf_model.h"

#include "engine/base/error.h"
#include "engine/import/hf_family.h"

namespace sf {
namespace {

using Json = nlohmann::ordered_json;

void plan_layer(HfPlanner& p, const HfText& t, const std::string& ours, const std::string& theirs) {
  const int64_t width = t.hidden_size, q = t.num_heads * t.head_dim, kv = t.num_kv_heads * t.head_dim;
  p.copy(ours + "attention_norm.weight", theirs + "input_layernorm.weight", {width});
  p.copy(ours + "moe_norm.weight", theirs + "post_attention_layernorm.weight", {width});
  const std::string attention = theirs + "self_attn.";
  p.copy(ours + "attention.q_proj", attention + "q_proj.weight", {q, width});
  p.copy(ours + "attention.k_proj", attention + "k_proj.weight", {kv, width});
  p.copy(ours + "attention.v_proj", attention + "v_proj.weight", {kv, width});
  p.copy(ours + "attention.o_proj", attention + "o_proj.weight", {width, q});
  if (t.attention_bias) {
    p.copy(ours + "attention.q_bias", attention + "q_proj.bias", {q});
    p.copy(ours + "attention.k_bias", attention + "k_proj.bias", {kv});
    p.copy(ours + "attention.v_bias", attention + "v_proj.bias", {kv});
    p.copy(ours + "attention.o_bias", attention + "o_proj.bias", {width});
  }
  p.skip(attention + "rotary_emb.inv_freq");
  find_hf_text_family(t.model_type)->plan_feed_forward(p, t, ours + "moe.", theirs);
}

void plan_text(HfPlanner& p, const HfText& t, const HfVisionFamily* vision) {
  const std::vector<std::string> model_prefixes = vision ? vision->text_prefixes : std::vector<std::string>{"model."};
  const std::vector<std::string> head_prefixes = vision ? vision->head_prefixes : std::vector<std::string>{""};
  const std::string model = p.prefix_of(model_prefixes, "embed_tokens.weight");
  const std::string head = p.prefix_of(head_prefixes, "lm_head.weight") + "lm_head.weight";
  p.copy("decoder.embedding", model + "embed_tokens.weight", {t.vocab_size, t.hidden_size});
  p.copy("decoder.norm.weight", model + "norm.weight", {t.hidden_size});
  if (t.tied_head)
    p.skip(head);
  else
    p.copy("decoder.head", head, {t.vocab_size, t.hidden_size});
  p.require_tensors_for("num_hidden_layers", t.num_layers);
  for (int64_t i = 0; i < t.num_layers; ++i)
    plan_layer(p, t, concat("decoder.block", i, "."), concat(model, "layers.", i, "."));
}

Json decoder_config(const HfText& t) {
  return {{"vocab_size", t.vocab_size},
          {"width", t.hidden_size},
          {"num_layers", t.num_layers},
          {"num_heads", t.num_heads},
          {"num_kv_heads", t.num_kv_heads},
          {"head_dim", t.head_dim},
          {"positions", "rope"},
          {"rope_theta", t.rope_theta},
          {"rope_fraction", 1.0},
          {"norm", "rms"},
          {"norm_eps", t.norm_eps},
          {"attention_bias", t.attention_bias},
          {"attention_out_bias", t.attention_bias},
          {"scale_embedding", false},
          {"tied_head", t.tied_head},
          {"max_context", t.max_context},
          {"moe",
           {{"num_experts", t.num_experts},
            {"top_k", t.top_k},
            {"hidden", t.intermediate_size},
            {"router_softmax", "after"},
            {"noisy", false}}}};
}

std::string tokenizer_json(const HfConfig& hf) {
  Json tokens = Json::array();
  for (const auto& [id, content] : hf.added_tokens) tokens.push_back({{"id", id}, {"content", content}});
  Json json = {{"format_version", 1}, {"add_bos", hf.add_bos},      {"prefix_space", hf.prefix_space},
               {"eos_ids", hf.eos},   {"image_id", hf.image_token}, {"added_tokens", tokens}};
  return json.dump(2) + "\n";
}

}  // namespace

HfImport plan_hf_import(const HfConfig& hf, const TensorSource& source, const std::string& prompt_template) {
  const HfArchitecture* architecture = find_hf_architecture(hf.architecture);
  SF_CHECK(architecture && find_hf_text_family(hf.text.model_type), "import: no family of ", hf.architecture);
  const HfVisionFamily* vision = architecture->vision;
  Json config = {{"model_type", "sparsefusion"}, {"preset", hf.architecture}};
  config["image"] = config["vision"] = Json::object();
  config["projector"] = "none";
  if (vision) vision->describe(hf, config);
  config["modality_embedding"] = false;
  config["decoder"] = decoder_config(hf.text);
  config["prompt_template"] = !prompt_template.empty() ? prompt_template
                              : vision                 ? std::string(vision->prompt_template)
                                                       : "plain";
  HfPlanner planner(source);
  plan_text(planner, hf.text, vision);
  if (vision) vision->plan(planner, hf);
  return {config.dump(2) + "\n", tokenizer_json(hf), hf.generation.dump(2) + "\n", planner.take()};
}

}  // namespace sf
