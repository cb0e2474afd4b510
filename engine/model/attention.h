// Causal attention of the decoder. The layer projects and rotates; where keys and values live is the backend's
// business: a packed training batch (PackedAttention, here) or the paged cache (engine/runtime/paged_attention.h).
//
//   PackedAttention backend(mask_BLL);
//   Attention attention(config.decoder);
//   at::Tensor y_TD = attention.forward(layer, x_TD, rope, backend);
//
// Attention: thread-safe as long as the weights do not change; const methods only read them. A backend: one thread
// only.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/norm.h"
#include "engine/model/rope.h"
#include "engine/model/shapes.h"

namespace sf {

// One thread only.
class AttentionBackend {
 public:
  virtual ~AttentionBackend() = default;
  // q_THC, k_TGC (rotated), v_TGC of the step's tokens -> attended values [T, H, C].
  // Scores are q k / sqrt(C); another scale is in q already.
  virtual at::Tensor attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) = 0;
};

// T = B*L tokens in padded rows under a mask: one image and many questions in a row, each question blind to the
// others.
class PackedAttention : public AttentionBackend {
 public:
  // mask_BLL: additive, 0 or -inf, broadcast over heads; a row of the mask never forbids everything.
  explicit PackedAttention(at::Tensor mask_BLL) : mask_B1LL_(mask_BLL.unsqueeze(1)) {}
  at::Tensor attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) override;

 private:
  at::Tensor mask_B1LL_;
};

class Attention : public torch::nn::Module {
 public:
  explicit Attention(const DecoderConfig& config);
  // x_TD -> [T, D].
  at::Tensor forward(int layer, const at::Tensor& x_TD, const RopeTable& rope, AttentionBackend& backend) const;

 private:
  DecoderConfig config_;
  at::Tensor q_weight_, k_weight_, v_weight_, o_weight_;
  at::Tensor q_bias_, k_bias_, v_bias_, o_bias_;  // undefined without attention_bias, attention_out_bias
  std::shared_ptr<Norm> q_norm_, k_norm_;         // null without qk_norm
};

}  // namespace sf
