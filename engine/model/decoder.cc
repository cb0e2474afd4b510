#include "engine/model/decoder.h"

namespace sf {

DecoderBlock::DecoderBlock(const DecoderConfig& config) {
  attention_norm_ = register_module("attention_norm", std::make_shared<RmsNorm>(config.width, config.norm_eps));
  attention_ = register_module("attention", std::make_shared<Attention>(config));
  moe_norm_ = register_module("moe_norm", std::make_shared<RmsNorm>(config.width, config.norm_eps));
  moe_ = register_module("moe", std::make_shared<MoeLayer>(config));
}

at::Tensor DecoderBlock::forward(int layer, const DecoderInput& input, const at::Tensor& x_TD, const RopeTable& rope,
                                 AttentionBackend& backend, MoeObserver* observer) const {
  at::Tensor x = x_TD + attention_->forward(layer, attention_norm_->forward(x_TD), rope, backend);
  at::Tensor h = moe_norm_->forward(x);
  if (!input.real_tokens.defined()) return x + moe_->forward(layer, h, input.capacity, observer);
  at::Tensor y = moe_->forward(layer, h.index_select(0, input.real_tokens), input.capacity, observer);
  return x + at::zeros_like(x).index_copy(0, input.real_tokens, y);
}

Decoder::Decoder(const DecoderConfig& config) : config_(config) {
  embedding_VD_ = register_parameter("embedding", torch::randn({config.vocab_size, config.width}) * 0.1);
  for (int i = 0; i < config.num_layers; ++i) {
    blocks_.push_back(register_module("block" + std::to_string(i), std::make_shared<DecoderBlock>(config)));
  }
  norm_ = register_module("norm", std::make_shared<RmsNorm>(config.width, config.norm_eps));
}

at::Tensor Decoder::embed(const at::Tensor& ids) const {
  // Scaled so that a word and an image token (unit variance out of the projector) weigh alike in the residual stream.
  return at::embedding(embedding_VD_, ids) * std::sqrt(static_cast<double>(config_.width));
}

at::Tensor Decoder::forward(const DecoderInput& input, AttentionBackend& backend, MoeObserver* observer) const {
  const int64_t rotated = static_cast<int64_t>(config_.head_dim * config_.rope_fraction) / 2 * 2;
  RopeTable rope = make_rope_table(input.positions_T, rotated, config_.rope_theta);
  at::Tensor x = input.x_TD;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i]->forward(static_cast<int>(i), input, x, rope, backend, observer);
    if (input.layer_outputs) input.layer_outputs->push_back(x);
  }
  return norm_->forward(x);
}

at::Tensor Decoder::logits(const at::Tensor& hidden_TD) const { return at::linear(hidden_TD, embedding_VD_); }

}  // namespace sf
