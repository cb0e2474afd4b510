// num_weights(): the sizes of every parameter that the modules of engine/model register.
#include "engine/model/config.h"

namespace sf {
namespace {

// Of one expert, or of a dense layer's MLP.
double mlp_weights(const DecoderConfig& d, double hidden) {
  const double up = d.moe.activation == ExpertActivation::kSwiglu ? 2 * hidden : hidden;
  return d.width * (up + hidden) + (d.moe.expert_bias ? up + d.width : 0);
}

// Of one layer's router, experts and shared expert.
double moe_weights(const DecoderConfig& d) {
  const MoeConfig& moe = d.moe;
  const double width = d.width;
  auto expert = [&](double hidden) { return mlp_weights(d, hidden); };
  const double router = (moe.noisy ? 2 : 1) * (width + (moe.router_bias ? 1 : 0)) + (moe.bias_balancing ? 1 : 0);
  return moe.num_experts * (router + expert(moe.hidden)) + (moe.shared_hidden > 0 ? expert(moe.shared_hidden) : 0);
}

// Of the projector, or of one more for injected features.
double projector_weights(const ModelConfig& config, double joined) {
  const double width = config.decoder.width, hidden = config.projector_hidden > 0 ? config.projector_hidden : 2 * width;
  return hidden * (joined + 1) + width * (hidden + 1) + (config.projector_norm ? 2 * joined : 0);
}

double vision_weights(const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const double w = v.width, m = v.mlp_width;
  double total = 0, inputs = v.coordinates ? 5 : 3;
  if (v.stem == StemKind::kLinear) {
    total = w * inputs * v.token_size * v.token_size + (v.stem_bias ? w : 0);
  } else {
    const bool patch = v.stem == StemKind::kPatch;
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
  total += w * (v.position_embedding == PositionEmbedding::kTable ? table : 2.0 * v.max_side) + (v.class_token ? w : 0);
  total += (v.pre_norm ? 2 * w : 0) + (v.final_norm ? 2 * w : 0);
  total += v.num_layers * (4 * w * w + 9 * w + 2 * w * m + m + bias_table + (v.layer_scale ? 2 * w : 0));
  const double shuffle = projector_shuffle(config.projector), joined = w * shuffle * shuffle;
  return total + double(1 + v.deepstack_layers.size()) * projector_weights(config, joined);
}

double decoder_weights(const DecoderConfig& d) {
  const double width = d.width, vocab = d.vocab_size, head_dim = d.head_dim;
  const double norm = d.norm == NormKind::kLayer ? 2 * width : width;
  double total = vocab * width + norm;
  if (d.positions == PositionKind::kLearned) total += double(d.max_context) * width;
  if (!d.tied_head) total += vocab * width;
  if (d.head_bias) total += vocab;
  const double query_width = d.num_heads * head_dim, key_width = d.num_kv_heads * head_dim;
  double layer = 2 * norm + width * (2 * query_width + 2 * key_width);
  if (d.attention_bias) layer += query_width + 2 * key_width;
  if (d.attention_out_bias) layer += width;
  if (d.qk_norm) layer += 2 * head_dim;
  const double dense = double(d.dense_layers.size());
  return total + d.num_layers * layer + (d.num_layers - dense) * moe_weights(d) +
         dense * mlp_weights(d, d.dense_hidden);
}

}  // namespace

double num_weights(const ModelConfig& config) {
  const double total = decoder_weights(config.decoder) + (config.has_vision() ? vision_weights(config) : 0);
  return total + (config.modality_embedding ? 2.0 * config.decoder.width : 0);
}

}  // namespace sf
