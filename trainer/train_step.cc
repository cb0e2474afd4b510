#include "trainer/train_step.h"

#include "engine/model/dispatch.h"

namespace sf {
namespace {

// Sums the router's losses and counts loads while the forward pass runs.
class RoutingLosses : public MoeObserver {
 public:
  explicit RoutingLosses(at::Tensor is_image) : is_image_(std::move(is_image)) {}

  void on_routed(int, const Routing& routing, const Dispatch& d) override {
    balance_.push_back(balance_loss(routing));
    z_.push_back(router_z_loss(routing));
    LayerRouting layer;
    const int64_t experts = routing.probs_TE.size(1), k = routing.ids_TK.size(1);
    at::Tensor key = routing.ids_TK * 2 + (1 - is_image_).unsqueeze(1);
    at::Tensor counts = at::bincount(key.flatten(), {}, experts * 2);
    layer.expert_tokens.assign(counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + experts * 2);
    layer.assignments = routing.ids_TK.size(0) * k;
    layer.dropped = layer.assignments - d.kept_TK.sum().item<int64_t>();
    layers.push_back(std::move(layer));
  }

  at::Tensor balance() const { return at::stack(balance_).mean(); }
  at::Tensor z() const { return at::stack(z_).mean(); }

  std::vector<LayerRouting> layers;

 private:
  at::Tensor is_image_;
  std::vector<at::Tensor> balance_, z_;
};

at::Tensor alignment_loss(const Vlm& vlm, const at::Tensor& image_BPD, const PackedBatch& batch,
                          const std::vector<int>& words, const at::Tensor& bias) {
  at::Tensor word_ids = torch::tensor(std::vector<int64_t>(words.begin(), words.end()), at::kLong).to(image_BPD.device());
  at::Tensor word_WD = vlm.decoder().embed(word_ids) / static_cast<double>(image_BPD.size(2)) * 4.0;
  return at::binary_cross_entropy_with_logits(at::linear(image_BPD, word_WD) + bias, batch.words);
}

}  // namespace

AuxiliaryHeads::AuxiliaryHeads(const ModelConfig& config)
    : alignment_bias(at::full({data::kNumColours + data::kNumShapes}, -2.0).set_requires_grad(true)), dense(config.vision.width) {}

Losses forward_losses(const Vlm& vlm, const PackedBatch& batch, const std::vector<int>& words, const AuxiliaryHeads& heads,
                      const LossOptions& options) {
  const int64_t length = batch.ids_BL.size(1), p = batch.image_tokens;
  const int token_size = vlm.config().vision.token_size;
  const at::Tensor& pixels = batch.pictures.pixels;
  at::Tensor vision_BNW = vlm.vit().encode(pixels, batch.pictures.boxes);
  at::Tensor image_BPD = vlm.project(vlm.vit().features(vision_BNW), pixels.size(2) / token_size, pixels.size(3) / token_size);
  at::Tensor text = vlm.embed_text(batch.ids_BL.narrow(1, p, length - p));
  DecoderInput input;
  input.x_TD = at::cat({image_BPD, text}, 1).flatten(0, 1);
  input.positions_T = batch.positions_BL.flatten(0, 1);
  input.real_tokens = batch.real_tokens;
  const MoeConfig& moe = vlm.config().decoder.moe;
  input.capacity = vlm.is_training()
                       ? expert_capacity(batch.real_tokens.size(0), moe.num_experts, moe.top_k, options.capacity_factor)
                       : 0;
  at::Tensor is_image = batch.real_tokens.remainder(length).lt(p).to(at::kLong);
  RoutingLosses routing(is_image);
  PackedAttention attention(batch.mask_BLL);
  at::Tensor hidden = vlm.decoder().forward(input, attention, &routing);

  Losses out;
  out.answer_logits = vlm.decoder().logits(hidden.index_select(0, batch.loss_index));
  at::Tensor token_loss = at::cross_entropy_loss(out.answer_logits, batch.loss_target, {}, at::Reduction::None);
  at::Tensor answer = (token_loss * batch.loss_weight).sum() / batch.loss_weight.sum();
  at::Tensor alignment = alignment_loss(vlm, image_BPD, batch, words, heads.alignment_bias);
  at::Tensor balance = routing.balance(), z = routing.z();
  out.total = answer + options.balance * balance + options.router_z * z + options.alignment * alignment;
  double dense = 0;
  if (batch.dense && options.dense > 0) {
    at::Tensor loss = dense_loss(heads.dense.forward(vlm.vit().patches(vision_BNW)), *batch.dense, false).loss;
    out.total = out.total + options.dense * loss;
    dense = loss.item<double>();
  }
  out.report = {out.total.item<double>(), answer.item<double>(), balance.item<double>(), z.item<double>(),
                alignment.item<double>(), dense, 0, batch.real_tokens.size(0), std::move(routing.layers)};
  return out;
}

std::vector<bool> answered(const PackedBatch& batch, const at::Tensor& answer_logits) {
  std::vector<bool> right(batch.questions.size(), true);
  at::Tensor matches = answer_logits.argmax(1).eq(batch.loss_target).contiguous();
  const bool* match = matches.const_data_ptr<bool>();
  for (size_t i = 0; i < batch.loss_question.size(); ++i) {
    if (!match[i]) right[batch.loss_question[i]] = false;
  }
  return right;
}

}  // namespace sf
