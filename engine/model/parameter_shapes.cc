#include "engine/model/parameter_shapes.h"

#include <utility>

#include "engine/base/error.h"

namespace sf {
namespace {

using Shape = std::vector<int64_t>;

// Collects what one module registers; names begin with the module's own.
class Parameters {
 public:
  explicit Parameters(std::vector<ParameterShape>& out, std::string prefix = "")
      : out_(out), prefix_(std::move(prefix)) {}
  Parameters module(const std::string& name) const { return Parameters(out_, prefix_ + name + "."); }
  void add(const std::string& name, Shape shape) { out_.push_back({prefix_ + name, std::move(shape)}); }
  void add_if(bool there, const std::string& name, Shape shape) {
    if (there) add(name, std::move(shape));
  }

 private:
  std::vector<ParameterShape>& out_;
  std::string prefix_;
};

void add_stem(Parameters p, const VisionConfig& v) {
  const int64_t w = v.width;
  int64_t inputs = v.coordinates ? 5 : 3;
  if (v.stem == StemKind::kLinear) {
    p.add("stem_weight0", {w, inputs, v.token_size, v.token_size});
    p.add_if(v.stem_bias, "stem_bias0", {w});
    return;
  }
  const bool patch = v.stem == StemKind::kPatch;
  const size_t convolutions = patch ? 1 : v.stem_strides.size();
  for (size_t i = 0; i < convolutions; ++i) {
    const int64_t outputs = i + 1 < convolutions ? v.stem_channels[i] : w;
    const int64_t kernel = patch ? v.token_size : v.stem_strides[i] + 1 + v.stem_strides[i] % 2;
    p.add(concat("stem_weight", i), {outputs, inputs, kernel, kernel});
    for (const char* name : {"stem_bias", "stem_norm_weight", "stem_norm_bias"}) p.add(concat(name, i), {outputs});
    inputs = outputs;
  }
  p.add("embed_weight", {w, inputs});
  p.add("embed_bias", {w});
}

void add_vision_block(Parameters p, const VisionConfig& v) {
  const int64_t w = v.width, m = v.mlp_width, offsets = 2 * int64_t{v.max_side} - 1;
  for (const char* name : {"norm1_weight", "norm1_bias", "norm2_weight", "norm2_bias"}) p.add(name, {w});
  p.add("qkv_weight", {3 * w, w});
  p.add("qkv_bias", {3 * w});
  p.add("out_weight", {w, w});
  p.add("out_bias", {w});
  p.add("fc1_weight", {m, w});
  p.add("fc1_bias", {m});
  p.add("fc2_weight", {w, m});
  p.add("fc2_bias", {w});
  p.add_if(v.relative_bias, "relative_bias", {v.num_heads, offsets, offsets});
  for (const char* name : {"scale1", "scale2"}) p.add_if(v.layer_scale, name, {w});
}

void add_vision(Parameters p, const VisionConfig& v) {
  const int64_t w = v.width;
  add_stem(p, v);
  if (v.position_embedding == PositionEmbedding::kTable) {
    p.add("position_embedding", {int64_t{v.position_rows} * v.position_columns + (v.class_token ? 1 : 0), w});
  } else {
    for (const char* name : {"row_embedding", "column_embedding"}) p.add(name, {v.max_side, w});
  }
  p.add_if(v.class_token, "class_token", {w});
  for (const char* name : {"pre_norm_weight", "pre_norm_bias"}) p.add_if(v.pre_norm, name, {w});
  for (const char* name : {"norm_weight", "norm_bias"}) p.add_if(v.final_norm, name, {w});
  for (int i = 0; i < v.num_layers; ++i) add_vision_block(p.module(concat("block", i)), v);
}

void add_projector(Parameters p, const ModelConfig& config) {
  const int64_t shuffle = projector_shuffle(config.projector), in = config.vision.width * shuffle * shuffle;
  const int64_t width = config.decoder.width,
                hidden = config.projector_hidden > 0 ? config.projector_hidden : 2 * width;
  for (const char* name : {"norm_weight", "norm_bias"}) p.add_if(config.projector_norm, name, {in});
  p.add("fc1_weight", {hidden, in});
  p.add("fc1_bias", {hidden});
  p.add("fc2_weight", {width, hidden});
  p.add("fc2_bias", {width});
}

void add_norm(Parameters p, NormKind kind, int64_t width) {
  p.add("weight", {width});
  p.add_if(kind == NormKind::kLayer, "bias", {width});
}

void add_attention(Parameters p, const DecoderConfig& d) {
  const int64_t width = d.width, q = int64_t{d.num_heads} * d.head_dim, kv = int64_t{d.num_kv_heads} * d.head_dim;
  p.add("q_proj", {q, width});
  p.add("k_proj", {kv, width});
  p.add("v_proj", {kv, width});
  p.add("o_proj", {width, q});
  p.add_if(d.attention_bias, "q_bias", {q});
  p.add_if(d.attention_bias, "k_bias", {kv});
  p.add_if(d.attention_bias, "v_bias", {kv});
  p.add_if(d.attention_out_bias, "o_bias", {width});
  if (!d.qk_norm) return;
  add_norm(p.module("q_norm"), NormKind::kRms, d.head_dim);
  add_norm(p.module("k_norm"), NormKind::kRms, d.head_dim);
}

void add_experts(Parameters p, const DecoderConfig& d, int64_t num_experts, int64_t hidden) {
  const bool gated = d.moe.activation == ExpertActivation::kSwiglu;
  const std::string up_name = gated ? "gate_up" : "up";
  const int64_t up = gated ? 2 * hidden : hidden;
  p.add(up_name, {num_experts, up, d.width});
  p.add("down", {num_experts, d.width, hidden});
  p.add_if(d.moe.expert_bias, up_name + "_bias", {num_experts, up});
  p.add_if(d.moe.expert_bias, "down_bias", {num_experts, d.width});
}

void add_moe(Parameters p, const DecoderConfig& d) {
  const MoeConfig& moe = d.moe;
  const int64_t experts = moe.num_experts;
  Parameters router = p.module("router");
  router.add("weight", {experts, d.width});
  router.add_if(moe.router_bias, "bias", {experts});
  router.add_if(moe.noisy, "noise_weight", {experts, d.width});
  router.add_if(moe.noisy && moe.router_bias, "noise_bias", {experts});
  router.add_if(moe.bias_balancing, "balance_bias", {experts});
  add_experts(p.module("experts"), d, experts, moe.hidden);
  if (moe.shared_hidden > 0) add_experts(p.module("shared"), d, 1, moe.shared_hidden);
}

void add_decoder(Parameters p, const DecoderConfig& d) {
  p.add("embedding", {d.vocab_size, d.width});
  p.add_if(d.positions == PositionKind::kLearned, "positions", {d.max_context, d.width});
  p.add_if(!d.tied_head, "head", {d.vocab_size, d.width});
  p.add_if(d.head_bias, "head_bias", {d.vocab_size});
  for (int i = 0; i < d.num_layers; ++i) {
    const Parameters block = p.module(concat("block", i));
    add_norm(block.module("attention_norm"), d.norm, d.width);
    add_attention(block.module("attention"), d);
    add_norm(block.module("moe_norm"), d.norm, d.width);
    if (is_dense(d, i))
      add_experts(block.module("mlp"), d, 1, d.dense_hidden);
    else
      add_moe(block.module("moe"), d);
  }
  add_norm(p.module("norm"), d.norm, d.width);
}

}  // namespace

std::vector<ParameterShape> parameter_shapes(const ModelConfig& config) {
  std::vector<ParameterShape> out;
  Parameters model(out);
  model.add_if(config.modality_embedding, "modality_embedding", {2, config.decoder.width});
  if (config.has_vision()) {
    add_vision(model.module("vision"), config.vision);
    add_projector(model.module("projector"), config);
    for (size_t i = 0; i < config.vision.deepstack_layers.size(); ++i) {
      add_projector(model.module(concat("deepstack", i)), config);
    }
  }
  add_decoder(model.module("decoder"), config.decoder);
  return out;
}

double num_weights(const ModelConfig& config) {
  double total = 0;
  for (const ParameterShape& parameter : parameter_shapes(config)) {
    double elements = 1;
    for (const int64_t side : parameter.shape) elements *= static_cast<double>(side);
    total += elements;
  }
  return total;
}

}  // namespace sf
