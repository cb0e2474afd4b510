// The decoder: embedding, pre-norm blocks of causal attention and feed-forward (a mixture of experts, or in dense
// layers one MLP), head. One class for training, prefill and decode; only the AttentionBackend differs. Its switches
// (DecoderConfig) span the bundled model, Llama, Mixtral and the original SparseFusion.
//
//   Decoder decoder(config.decoder);
//   at::Tensor hidden_TD = decoder.forward(input, backend);
//   at::Tensor logits_TV = decoder.logits(hidden_TD);
//
// Thread-safe as long as the weights do not change: const methods only read them. Backend, observer and
// hook of a pass: one thread only.
#pragma once

#include <torch/torch.h>

#include "engine/model/attention.h"
#include "engine/model/decoder_input.h"
#include "engine/model/moe_layer.h"
#include "engine/model/norm.h"

namespace sf {

class DecoderBlock : public torch::nn::Module {
 public:
  DecoderBlock(const DecoderConfig& config, int layer);
  // A dense layer has nothing to observe.
  at::Tensor forward(int layer, const DecoderInput& input, const at::Tensor& x_TD, const RopeTable& rope,
                     AttentionBackend& backend, MoeObserver* observer) const;
  const MoeLayer* moe() const { return moe_.get(); }  // null in a dense layer

 private:
  at::Tensor feed_forward(int layer, const DecoderInput& input, const at::Tensor& h_TD, MoeObserver* observer) const;

  bool residual_after_norm_;
  std::shared_ptr<Norm> attention_norm_, moe_norm_;
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<MoeLayer> moe_;  // null in a dense layer,
  std::shared_ptr<Experts> mlp_;   // which has this instead
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
  // hidden [T, D] -> logits [T, V] through the embedding where tied, else the head.
  at::Tensor logits(const at::Tensor& hidden_TD) const;
  const DecoderConfig& config() const { return config_; }
  // Those of routed_layers(config()), ascending.
  std::vector<const MoeLayer*> moe_layers() const;

 private:
  DecoderConfig config_;
  at::Tensor embedding_VD_;
  at::Tensor position_PD_;  // [max_context, D]; undefined with rotary positions
  at::Tensor head_VD_;      // undefined with a tied head
  at::Tensor head_bias_V_;  // undefined without head_bias
  std::vector<std::shared_ptr<DecoderBlock>> blocks_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace sf
