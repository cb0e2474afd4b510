#include "engine/import/hf_model.h"

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::ordered_json;
using Shape = std::vector<int64_t>;

// Collects the plan. Names of the foreign model are built from prefixes that are found once, by name.
class HfPlanner {
 public:
  HfPlanner(const HfConfig& hf, const TensorSource& source) : hf_(hf), source_(source) {}

  ImportPlan plan() {
    plan_text();
    if (hf_.has_vision) {
      plan_vision();
      plan_projector();
    }
    return std::move(plan_);
  }

 private:
  bool has(const std::string& name) const { return source_.tensors().contains(name); }

  // The first prefix under which `probe` exists; the first of all where none does, so that the error has a name.
  std::string prefix_of(const std::vector<std::string>& prefixes, const std::string& probe) const {
    for (const std::string& prefix : prefixes) {
      if (has(prefix + probe)) return prefix;
    }
    return prefixes.front();
  }

  void add(const std::string& name, Shape shape, std::vector<ImportPiece> pieces) {
    plan_.tensors.push_back({name, std::move(shape), std::move(pieces)});
  }
  void copy(const std::string& name, const std::string& source, const Shape& shape) {
    add(name, shape, {{source, shape}});
  }
  // A linear layer's or a norm's bias that may not exist there.
  void bias(const std::string& name, const std::string& source, const Shape& shape, bool exists) {
    if (exists)
      copy(name, source, shape);
    else
      add(name, shape, {{"", shape}});
  }

  void plan_text() {
    const HfText& t = hf_.text;
    const std::string model =
        prefix_of(hf_.has_vision ? std::vector<std::string>{"language_model.model.", "model.language_model."}
                                 : std::vector<std::string>{"model."},
                  "embed_tokens.weight");
    const std::string head =
        prefix_of(hf_.has_vision ? std::vector<std::string>{"language_model.", ""} : std::vector<std::string>{""},
                  "lm_head.weight") +
        "lm_head.weight";
    copy("decoder.embedding", model + "embed_tokens.weight", {t.vocab_size, t.hidden_size});
    copy("decoder.norm.weight", model + "norm.weight", {t.hidden_size});
    if (t.tied_head)
      plan_.unused.insert(head);
    else
      copy("decoder.head", head, {t.vocab_size, t.hidden_size});
    require_tensors_for("num_hidden_layers", t.num_layers);
    for (int64_t i = 0; i < t.num_layers; ++i)
      plan_layer(concat("decoder.block", i, "."), concat(model, "layers.", i, "."));
  }

  // A number in a configuration must not fill the memory with a plan for tensors that no file has: each of `count`
  // things has at least one of its own.
  void require_tensors_for(const std::string& key, int64_t count) const {
    const auto tensors = static_cast<int64_t>(source_.tensors().size());
    if (count > tensors) {
      throw invalid_argument("config.json", "config.json: ", key, " is ", count, ", and the files have ", tensors,
                             " tensors");
    }
  }

  void plan_layer(const std::string& ours, const std::string& theirs) {
    const HfText& t = hf_.text;
    const int64_t width = t.hidden_size, q = t.num_heads * t.head_dim, kv = t.num_kv_heads * t.head_dim;
    copy(ours + "attention_norm.weight", theirs + "input_layernorm.weight", {width});
    copy(ours + "moe_norm.weight", theirs + "post_attention_layernorm.weight", {width});
    const std::string attention = theirs + "self_attn.";
    copy(ours + "attention.q_proj", attention + "q_proj.weight", {q, width});
    copy(ours + "attention.k_proj", attention + "k_proj.weight", {kv, width});
    copy(ours + "attention.v_proj", attention + "v_proj.weight", {kv, width});
    copy(ours + "attention.o_proj", attention + "o_proj.weight", {width, q});
    if (t.attention_bias) {
      copy(ours + "attention.q_bias", attention + "q_proj.bias", {q});
      copy(ours + "attention.k_bias", attention + "k_proj.bias", {kv});
      copy(ours + "attention.v_bias", attention + "v_proj.bias", {kv});
      copy(ours + "attention.o_bias", attention + "o_proj.bias", {width});
    }
    plan_.unused.insert(attention + "rotary_emb.inv_freq");
    if (t.model_type == "mixtral")
      plan_mixtral_experts(ours + "moe.", theirs);
    else
      plan_dense(ours + "moe.", theirs + "mlp.");
  }

  // A dense feed-forward is the one expert that a router without choice takes.
  void plan_dense(const std::string& ours, const std::string& theirs) {
    const int64_t width = hf_.text.hidden_size, hidden = hf_.text.intermediate_size;
    add(ours + "router.weight", {1, width}, {{"", {1, width}}});
    add(ours + "experts.gate_up", {1, 2 * hidden, width},
        {{theirs + "gate_proj.weight", {hidden, width}}, {theirs + "up_proj.weight", {hidden, width}}});
    add(ours + "experts.down", {1, width, hidden}, {{theirs + "down_proj.weight", {width, hidden}}});
  }

  void plan_mixtral_experts(const std::string& ours, const std::string& theirs) {
    const HfText& t = hf_.text;
    const int64_t width = t.hidden_size, hidden = t.intermediate_size, experts = t.num_experts;
    if (has(theirs + "mlp.experts.gate_up_proj")) {  // transformers 5: stacked, rows are outputs
      copy(ours + "router.weight", theirs + "mlp.gate.weight", {experts, width});
      copy(ours + "experts.gate_up", theirs + "mlp.experts.gate_up_proj", {experts, 2 * hidden, width});
      copy(ours + "experts.down", theirs + "mlp.experts.down_proj", {experts, width, hidden});
      return;
    }
    const std::string moe = theirs + "block_sparse_moe.";
    copy(ours + "router.weight", moe + "gate.weight", {experts, width});
    require_tensors_for("num_local_experts of all layers", t.num_layers * experts);
    std::vector<ImportPiece> gate_up, down;
    for (int64_t e = 0; e < experts; ++e) {
      const std::string expert = concat(moe, "experts.", e, ".");
      gate_up.push_back({expert + "w1.weight", {hidden, width}});
      gate_up.push_back({expert + "w3.weight", {hidden, width}});
      down.push_back({expert + "w2.weight", {width, hidden}});
    }
    add(ours + "experts.gate_up", {experts, 2 * hidden, width}, std::move(gate_up));
    add(ours + "experts.down", {experts, width, hidden}, std::move(down));
  }

  void plan_vision() {
    const HfVision& v = hf_.vision;
    const int64_t w = v.hidden_size, side = v.image_size / v.patch_size;
    const std::string tower = prefix_of(
        {"vision_tower.vision_model.", "model.vision_tower.vision_model.", "model.vision_tower.", "vision_tower."},
        "embeddings.class_embedding");
    const std::string embeddings = tower + "embeddings.";
    copy("vision.class_token", embeddings + "class_embedding", {w});
    copy("vision.stem_weight0", embeddings + "patch_embedding.weight", {w, 3, v.patch_size, v.patch_size});
    copy("vision.position_embedding", embeddings + "position_embedding.weight", {side * side + 1, w});
    copy("vision.pre_norm_weight", tower + "pre_layrnorm.weight", {w});
    copy("vision.pre_norm_bias", tower + "pre_layrnorm.bias", {w});
    for (const char* name : {"embeddings.position_ids", "post_layernorm.weight", "post_layernorm.bias"})
      plan_.unused.insert(tower + name);
    require_tensors_for("num_hidden_layers", v.num_layers);
    for (int64_t i = 0; i < v.kept_layers; ++i)
      plan_vision_layer(concat("vision.block", i, "."), concat(tower, "encoder.layers.", i, "."));
    for (int64_t i = v.kept_layers; i < v.num_layers; ++i) {
      const std::string layer = concat(tower, "encoder.layers.", i, ".");
      for (const char* part : {"layer_norm1", "layer_norm2", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                               "self_attn.out_proj", "mlp.fc1", "mlp.fc2"}) {
        plan_.unused.insert(layer + part + ".weight");
        plan_.unused.insert(layer + part + ".bias");
      }
    }
  }

  void plan_vision_layer(const std::string& ours, const std::string& theirs) {
    const int64_t w = hf_.vision.hidden_size, m = hf_.vision.intermediate_size;
    for (const char* norm : {"1", "2"}) {
      copy(concat(ours, "norm", norm, "_weight"), concat(theirs, "layer_norm", norm, ".weight"), {w});
      copy(concat(ours, "norm", norm, "_bias"), concat(theirs, "layer_norm", norm, ".bias"), {w});
    }
    const std::string attention = theirs + "self_attn.";
    add(ours + "qkv_weight", {3 * w, w},
        {{attention + "q_proj.weight", {w, w}},
         {attention + "k_proj.weight", {w, w}},
         {attention + "v_proj.weight", {w, w}}});
    add(ours + "qkv_bias", {3 * w},
        {{attention + "q_proj.bias", {w}}, {attention + "k_proj.bias", {w}}, {attention + "v_proj.bias", {w}}});
    copy(ours + "out_weight", attention + "out_proj.weight", {w, w});
    copy(ours + "out_bias", attention + "out_proj.bias", {w});
    copy(ours + "fc1_weight", theirs + "mlp.fc1.weight", {m, w});
    copy(ours + "fc1_bias", theirs + "mlp.fc1.bias", {m});
    copy(ours + "fc2_weight", theirs + "mlp.fc2.weight", {w, m});
    copy(ours + "fc2_bias", theirs + "mlp.fc2.bias", {w});
  }

  void plan_projector() {
    const int64_t w = hf_.vision.hidden_size, d = hf_.text.hidden_size;
    const std::string theirs = prefix_of({"multi_modal_projector.", "model.multi_modal_projector."}, "linear_1.weight");
    copy("projector.fc1_weight", theirs + "linear_1.weight", {d, w});
    bias("projector.fc1_bias", theirs + "linear_1.bias", {d}, hf_.vision.projector_bias);
    copy("projector.fc2_weight", theirs + "linear_2.weight", {d, d});
    bias("projector.fc2_bias", theirs + "linear_2.bias", {d}, hf_.vision.projector_bias);
  }

  const HfConfig& hf_;
  const TensorSource& source_;
  ImportPlan plan_;
};

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

Json vision_config(const HfVision& v) {
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

Json image_config(const HfConfig& hf) {
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

std::string tokenizer_json(const HfConfig& hf) {
  Json tokens = Json::array();
  for (const auto& [id, content] : hf.added_tokens) tokens.push_back({{"id", id}, {"content", content}});
  Json json = {{"format_version", 1}, {"add_bos", hf.add_bos},      {"prefix_space", hf.prefix_space},
               {"eos_ids", hf.eos},   {"image_id", hf.image_token}, {"added_tokens", tokens}};
  return json.dump(2) + "\n";
}

}  // namespace

HfImport plan_hf_import(const HfConfig& hf, const TensorSource& source, const std::string& prompt_template) {
  Json config = {{"model_type", "sparsefusion"}, {"preset", hf.architecture}};
  config["image"] = hf.has_vision ? image_config(hf) : Json::object();
  config["vision"] = hf.has_vision ? vision_config(hf.vision) : Json::object();
  config["projector"] = hf.has_vision ? "mlp" : "none";
  if (hf.has_vision) {
    config["projector_norm"] = false;
    config["projector_hidden"] = hf.text.hidden_size;
  }
  config["modality_embedding"] = false;
  config["decoder"] = decoder_config(hf.text);
  config["prompt_template"] = !prompt_template.empty() ? prompt_template : hf.has_vision ? "llava-1.5" : "plain";
  return {config.dump(2) + "\n", tokenizer_json(hf), hf.generation.dump(2) + "\n", HfPlanner(hf, source).plan()};
}

}  // namespace sf
