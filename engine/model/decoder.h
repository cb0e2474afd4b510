// The decoder: embedding, pre-norm blocks of causal attention and MoE feed-forward, tied head. One class for training,
// prefill and decode; only the AttentionBackend differs.
#pragma once

#include <torch/torch.h>

#include "engine/model/attention.h"
#include "engine/model/moe_layer.h"
#include "engine/model/norm.h"

namespace sf {

struct DecoderInput {
  at::Tensor x_TD;            // embedded tokens, modality added
  at::Tensor positions_T;     // int64
  // Tokens that are real; undefined = all. Padding never routes, counts or takes capacity.
  at::Tensor real_tokens;     // int64 indices into T, ascending
  int64_t capacity = 0;       // per expert; 0 = dropless
  std::vector<at::Tensor>* layer_outputs = nullptr;  // filled with the residual stream behind each block, where set
};

class DecoderBlock : public torch::nn::Module {
 public:
  explicit DecoderBlock(const DecoderConfig& config);
  at::Tensor forward(int layer, const DecoderInput& input, const at::Tensor& x_TD, const RopeTable& rope,
                     AttentionBackend& backend, MoeObserver* observer) const;

 private:
  std::shared_ptr<RmsNorm> attention_norm_, moe_norm_;
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<MoeLayer> moe_;
};

class Decoder : public torch::nn::Module {
 public:
  explicit Decoder(const DecoderConfig& config);
  // ids int64 of any shape -> [..., D].
  at::Tensor embed(const at::Tensor& ids) const;
  // -> final hidden states [T, D], normalised.
  at::Tensor forward(const DecoderInput& input, AttentionBackend& backend, MoeObserver* observer = nullptr) const;
  // The final norm alone, on the residual stream behind any block.
  at::Tensor normalise(const at::Tensor& x_TD) const { return norm_->forward(x_TD); }
  // hidden [T, D] -> logits [T, V] through the tied embedding.
  at::Tensor logits(const at::Tensor& hidden_TD) const;
  const DecoderConfig& config() const { return config_; }

 private:
  DecoderConfig config_;
  at::Tensor embedding_VD_;
  std::vector<std::shared_ptr<DecoderBlock>> blocks_;
  std::shared_ptr<RmsNorm> norm_;
};

}  // namespace sf
