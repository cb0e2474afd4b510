#include "engine/model/attention.h"

#include "engine/model/initial_weights.h"

namespace sf {

at::Tensor PackedAttention::attend(int, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) {
  const int64_t rows = mask_B1LL_.size(0), length = mask_B1LL_.size(2);
  auto split = [&](const at::Tensor& x) { return x.view({rows, length, x.size(1), x.size(2)}).transpose(1, 2); };
  at::Tensor q = split(q_THC), k = split(k_TGC), v = split(v_TGC);
  const bool grouped = q_THC.size(1) != k_TGC.size(1);
  at::Tensor out = at::scaled_dot_product_attention(q, k, v, mask_B1LL_, 0.0, false, std::nullopt, grouped);
  return out.transpose(1, 2).reshape(q_THC.sizes());
}

Attention::Attention(const DecoderConfig& config) : config_(config) {
  const int64_t width = config.width;
  const int64_t q_width = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_width = int64_t{config.num_kv_heads} * config.head_dim;
  // Queries and keys start nearly equal, so that attention matches content from the first step: without it the model
  // stays at chance for a long time before it binds a question's colour word to the image. The scale is small on
  // purpose: a token is always most like itself, and a larger one would let it attend to nothing else.
  const double scale = 0.3 / std::sqrt(static_cast<double>(width));
  at::Tensor shared = randn_or_empty({kv_width, width}) * scale;
  at::Tensor q = shared.view({config.num_kv_heads, config.head_dim, width})
                     .repeat_interleave(config.num_heads / config.num_kv_heads, 0)
                     .reshape({q_width, width});
  q_weight_ = register_parameter("q_proj", q + 0.02 * randn_or_empty({q_width, width}));
  k_weight_ = register_parameter("k_proj", shared + 0.02 * randn_or_empty({kv_width, width}));
  v_weight_ = register_parameter("v_proj", randn_or_empty({kv_width, width}) / std::sqrt(double(width)));
  o_weight_ = register_parameter(
      "o_proj", randn_or_empty({width, q_width}) / std::sqrt(double(q_width)) / std::sqrt(2.0 * config.num_layers));
  if (config.attention_bias) {
    q_bias_ = register_parameter("q_bias", torch::zeros({q_width}));
    k_bias_ = register_parameter("k_bias", torch::zeros({kv_width}));
    v_bias_ = register_parameter("v_bias", torch::zeros({kv_width}));
  }
  if (config.attention_out_bias) o_bias_ = register_parameter("o_bias", torch::zeros({width}));
  if (config.qk_norm) {
    q_norm_ = register_module("q_norm", std::make_shared<Norm>(NormKind::kRms, config.head_dim, config.norm_eps));
    k_norm_ = register_module("k_norm", std::make_shared<Norm>(NormKind::kRms, config.head_dim, config.norm_eps));
  }
}

at::Tensor Attention::forward(int layer, const at::Tensor& x_TD, const RopeTable& rope,
                              AttentionBackend& backend) const {
  const int64_t tokens = x_TD.size(0);
  at::Tensor q_THC = at::linear(x_TD, q_weight_, q_bias_).view({tokens, config_.num_heads, config_.head_dim});
  at::Tensor k_TGC = at::linear(x_TD, k_weight_, k_bias_).view({tokens, config_.num_kv_heads, config_.head_dim});
  at::Tensor v_TGC = at::linear(x_TD, v_weight_, v_bias_).view({tokens, config_.num_kv_heads, config_.head_dim});
  if (q_norm_) {
    q_THC = q_norm_->forward(q_THC);
    k_TGC = k_norm_->forward(k_TGC);
  }
  if (config_.attention_scale > 0) q_THC = q_THC * (config_.attention_scale * std::sqrt(double(config_.head_dim)));
  at::Tensor out_THC = backend.attend(layer, apply_rope(q_THC, rope), apply_rope(k_TGC, rope), v_TGC);
  return at::linear(out_THC.reshape({tokens, -1}), o_weight_, o_bias_);
}

}  // namespace sf
