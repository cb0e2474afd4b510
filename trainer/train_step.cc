#include "trainer/train_step.h"

#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/model/capacity.h"
#include "engine/model/routing_losses.h"

namespace sf {
namespace {

// Sums the router's losses and counts loads while the forward pass runs.
class RoutingLosses : public MoeObserver {
 public:
  RoutingLosses(at::Tensor is_image, const LossOptions& options) : is_image_(std::move(is_image)), options_(options) {}

  void on_routed(int layer, const Routing& routing, const Dispatch& d) override {
    balance_.push_back(balance_loss(routing));
    z_.push_back(router_z_loss(routing));
    if (options_.importance > 0) importance_.push_back(importance_loss(routing));
    if (options_.load > 0 && routing.noisy_TE.defined()) load_.push_back(load_loss(routing));
    if (options_.modality > 0) modality_.push_back(modality_balance_loss(routing, is_image_));
    if (options_.local_entropy > 0) local_entropy_.push_back(local_entropy_loss(routing, is_image_));
    if (options_.global_entropy > 0) {
      const double experts = std::max(2.0, double(routing.probs_TE.size(1)) / 2);
      global_entropy_.push_back(global_entropy_loss(routing, is_image_, experts));
    }
    layers.push_back(count(layer, routing, d));
  }

  // Adds what each loss is worth to `total` and notes the losses in `report`.
  void add_to(at::Tensor& total, StepReport& report) const {
    auto add = [&](const std::vector<at::Tensor>& losses, double weight, double& noted) {
      if (losses.empty()) return;
      at::Tensor loss = at::stack(losses).mean();
      total = total + weight * loss;
      noted = loss.item<double>();
    };
    add(balance_, options_.balance, report.balance);
    add(z_, options_.router_z, report.router_z);
    add(importance_, options_.importance, report.importance);
    add(load_, options_.load, report.load);
    add(modality_, options_.modality, report.modality);
    add(local_entropy_, options_.local_entropy, report.local_entropy);
    add(global_entropy_, options_.global_entropy, report.global_entropy);
  }

  std::vector<LayerRouting> layers;

 private:
  LayerRouting count(int index, const Routing& routing, const Dispatch& d) const {
    LayerRouting layer{.layer = index, .expert_tokens = {}};
    const int64_t experts = routing.probs_TE.size(1), k = routing.ids_TK.size(1);
    at::Tensor key = routing.ids_TK * 2 + (1 - is_image_).unsqueeze(1);
    at::Tensor counts = at::bincount(key.flatten(), {}, experts * 2);
    layer.expert_tokens.assign(counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + experts * 2);
    layer.assignments = routing.ids_TK.size(0) * k;
    layer.dropped = layer.assignments - d.kept_TK.sum().item<int64_t>();
    return layer;
  }

  at::Tensor is_image_;
  const LossOptions& options_;
  std::vector<at::Tensor> balance_, z_, importance_, load_, modality_, local_entropy_, global_entropy_;
};

at::Tensor alignment_loss(const Vlm& vlm, const at::Tensor& image_BPD, const PackedBatch& batch,
                          const std::vector<int>& words, const at::Tensor& bias) {
  at::Tensor word_ids =
      torch::tensor(std::vector<int64_t>(words.begin(), words.end()), at::kLong).to(image_BPD.device());
  at::Tensor word_WD = vlm.decoder().embed(word_ids) / static_cast<double>(image_BPD.size(2)) * 4.0;
  return at::binary_cross_entropy_with_logits(at::linear(image_BPD, word_WD) + bias, batch.words);
}

}  // namespace

AuxiliaryHeads::AuxiliaryHeads(const ModelConfig& config, const Task& task, const Tokenizer& tokenizer)
    : words(alignment_words(tokenizer, task.object_words())), targets(task.dense_targets()) {
  if (!words.empty()) {
    alignment_bias = at::full({static_cast<int64_t>(words.size())}, -2.0).set_requires_grad(true);
  }
  if (!targets.empty()) dense.emplace(config.vision.width, targets);
}

torch::OrderedDict<std::string, at::Tensor> AuxiliaryHeads::parameters() const {
  torch::OrderedDict<std::string, at::Tensor> parameters;
  if (alignment_bias.defined()) parameters.insert("alignment_bias", alignment_bias);
  if (dense) {
    for (const auto& item : dense->named_parameters()) parameters.insert("dense." + item.key(), item.value());
  }
  return parameters;
}

Losses forward_losses(const Vlm& vlm, const PackedBatch& batch, const AuxiliaryHeads* heads,
                      const LossOptions& options) {
  const int64_t length = batch.ids_BL.size(1), p = batch.image_tokens;
  const int token_size = vlm.config().vision.token_size;
  const at::Tensor& pixels = batch.images.pixels;
  std::vector<at::Tensor> deepstack;
  at::Tensor vision_BNW = vlm.vit().encode(pixels, batch.images.boxes, nullptr, &deepstack);
  at::Tensor image_BPM = vlm.project(vision_BNW, deepstack, pixels.size(2) / token_size, pixels.size(3) / token_size);
  at::Tensor image_BPD = vlm.embedded(image_BPM);
  DecoderInput input = decoder_input(vlm, batch.ids_BL, {{.begin = 0, .image_BPM = image_BPM}});
  input.positions_T = batch.positions_BL.flatten(0, 1);
  input.real_tokens = batch.real_tokens;
  BatchCapacity capacity(vlm.config().decoder.moe, batch.real_tokens.size(0), options.capacity_factor);
  if (vlm.is_training()) input.capacity = &capacity;
  at::Tensor is_image = batch.real_tokens.remainder(length).lt(p).to(at::kLong);
  RoutingLosses routing(is_image, options);
  PackedAttention attention(batch.mask_BLL);
  at::Tensor hidden = vlm.decoder().forward(input, attention, &routing);

  Losses out;
  out.answer_logits = vlm.decoder().logits(hidden.index_select(0, batch.loss_index));
  at::Tensor token_loss = at::cross_entropy_loss(out.answer_logits, batch.loss_target, {}, at::Reduction::None);
  at::Tensor answer = (token_loss * batch.loss_weight).sum() / batch.loss_weight.sum();
  at::Tensor alignment;
  if (heads && !heads->words.empty()) {
    alignment = alignment_loss(vlm, image_BPD, batch, heads->words, heads->alignment_bias);
  }
  out.total = answer;
  routing.add_to(out.total, out.report);
  if (alignment.defined()) {
    out.total = out.total + options.alignment * alignment;
    out.report.alignment = alignment.item<double>();
  }
  if (heads && heads->dense && batch.labels && options.dense > 0) {
    const at::Tensor logits = heads->dense->forward(vlm.vit().patches(vision_BNW));
    at::Tensor loss = dense_loss(logits, *batch.labels, heads->targets, false).loss;
    out.total = out.total + options.dense * loss;
    out.report.dense = loss.item<double>();
  }
  out.report.loss = out.total.item<double>();
  out.report.answer = answer.item<double>();
  out.report.tokens = batch.real_tokens.size(0);
  out.report.layers = std::move(routing.layers);
  return out;
}

void step_balance_biases(const std::vector<at::Tensor>& biases, const std::vector<LayerRouting>& layers, double rate) {
  for (size_t layer = 0; layer < biases.size(); ++layer) {
    at::Tensor by_modality = torch::tensor(layers[layer].expert_tokens, at::kLong).view({-1, kNumModalities});
    update_balance_bias(biases[layer], by_modality.sum(1), rate);
  }
}

std::vector<bool> answered(const PackedBatch& batch, const at::Tensor& answer_logits) {
  std::vector<bool> right(static_cast<size_t>(batch.num_questions), true);
  at::Tensor matches = answer_logits.argmax(1).eq(batch.loss_target).contiguous();
  const bool* match = matches.const_data_ptr<bool>();
  for (size_t i = 0; i < batch.loss_question.size(); ++i) {
    if (!match[i]) right[batch.loss_question[i]] = false;
  }
  return right;
}

}  // namespace sf
