#include "engine/model/decoder.h"

#include "engine/base/yield_to_requests.h"
#include "engine/model/initial_weights.h"

namespace sf {
namespace {

// A dense layer's MLP is one expert that every token passes; dropout is for those that are chosen.
std::shared_ptr<Experts> dense_mlp(DecoderConfig config) {
  config.moe.dropout_rate = 0;
  return std::make_shared<Experts>(config, 1, config.dense_hidden);
}

}  // namespace

DecoderBlock::DecoderBlock(const DecoderConfig& config, int layer) : residual_after_norm_(config.residual_after_norm) {
  attention_norm_ =
      register_module("attention_norm", std::make_shared<Norm>(config.norm, config.width, config.norm_eps));
  attention_ = register_module("attention", std::make_shared<Attention>(config));
  moe_norm_ = register_module("moe_norm", std::make_shared<Norm>(config.norm, config.width, config.norm_eps));
  if (is_dense(config, layer))
    mlp_ = register_module("mlp", dense_mlp(config));
  else
    moe_ = register_module("moe", std::make_shared<MoeLayer>(config));
}

at::Tensor DecoderBlock::feed_forward(int layer, const DecoderInput& input, const at::Tensor& h_TD,
                                      MoeObserver* observer) const {
  if (mlp_) return mlp_->forward_first(h_TD, *input.ops);
  return moe_->forward(
      layer, h_TD, {.capacity = input.capacity, .hook = input.routing_hook, .observer = observer, .ops = input.ops});
}

at::Tensor DecoderBlock::forward(int layer, const DecoderInput& input, const at::Tensor& x_TD, const RopeTable& rope,
                                 AttentionBackend& backend, MoeObserver* observer) const {
  at::Tensor x = x_TD + attention_->forward(layer, attention_norm_->forward(x_TD), rope, backend);
  at::Tensor h = moe_norm_->forward(x);
  if (residual_after_norm_) x = h;
  if (!input.real_tokens.defined()) return x + feed_forward(layer, input, h, observer);
  at::Tensor y = feed_forward(layer, input, h.index_select(0, input.real_tokens), observer);
  return x + at::zeros_like(x).index_copy(0, input.real_tokens, y);
}

Decoder::Decoder(const DecoderConfig& config) : config_(config) {
  embedding_VD_ = register_parameter("embedding", randn_or_empty({config.vocab_size, config.width}) * 0.1);
  if (config.positions == PositionKind::kLearned) {
    position_PD_ = register_parameter("positions", randn_or_empty({config.max_context, config.width}) * 0.02);
  }
  if (!config.tied_head) head_VD_ = register_parameter("head", randn_or_empty({config.vocab_size, config.width}) * 0.1);
  if (config.head_bias) head_bias_V_ = register_parameter("head_bias", torch::zeros({config.vocab_size}));
  for (int i = 0; i < config.num_layers; ++i) {
    blocks_.push_back(register_module("block" + std::to_string(i), std::make_shared<DecoderBlock>(config, i)));
  }
  norm_ = register_module("norm", std::make_shared<Norm>(config.norm, config.width, config.norm_eps));
}

at::Tensor Decoder::embed(const at::Tensor& ids) const {
  at::Tensor x = at::embedding(embedding_VD_, ids);
  if (!config_.scale_embedding) return x;
  // Scaled so that a word and an image token (unit variance out of the projector) weigh alike in the residual stream.
  return x * std::sqrt(static_cast<double>(config_.width));
}

at::Tensor Decoder::forward(const DecoderInput& input, AttentionBackend& backend, MoeObserver* observer) const {
  const RopeTable rope = make_rope_table(
      input.positions_T,
      {.rotated = rotated_channels(config_), .theta = config_.rope_theta, .interleaved = config_.rope_interleaved});
  at::Tensor x = input.x_TD;
  if (position_PD_.defined()) x = x + at::embedding(position_PD_, input.positions_T);
  const size_t injected =
      input.injected_TI.defined() ? static_cast<size_t>(input.injected_TI.size(1) / config_.width) : 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    yield_to_requests();
    x = blocks_[i]->forward(static_cast<int>(i), input, x, rope, backend, observer);
    if (i < injected) x = x + input.injected_TI.narrow(1, static_cast<int64_t>(i) * config_.width, config_.width);
    if (input.layer_outputs) input.layer_outputs->push_back(x);
  }
  return norm_->forward(x);
}

std::vector<const MoeLayer*> Decoder::moe_layers() const {
  std::vector<const MoeLayer*> layers;
  for (const auto& block : blocks_) {
    if (block->moe()) layers.push_back(block->moe());
  }
  return layers;
}

at::Tensor Decoder::logits(const at::Tensor& hidden_TD) const {
  return at::linear(hidden_TD, head_VD_.defined() ? head_VD_ : embedding_VD_, head_bias_V_);
}

}  // namespace sf
