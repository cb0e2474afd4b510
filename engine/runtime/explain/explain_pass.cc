#include "engine/runtime/explain/explain_pass.h"

#include <cmath>
#include <limits>
#include <optional>

#include "engine/runtime/strict_capacity.h"

namespace sf {

at::Tensor DenseAttention::attend(int, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) {
  const int64_t tokens = q_THC.size(0), group = q_THC.size(1) / k_TGC.size(1);
  at::Tensor q = q_THC.transpose(0, 1), k = k_TGC.transpose(0, 1), v = v_TGC.transpose(0, 1);
  if (group > 1) {
    k = k.repeat_interleave(group, 0);
    v = v.repeat_interleave(group, 0);
  }
  at::Tensor future = at::ones({tokens, tokens}, q.options().dtype(at::kBool)).triu(1);
  at::Tensor scores = at::matmul(q / std::sqrt(double(q.size(2))), k.transpose(1, 2));
  at::Tensor map_HTT = at::softmax(scores.masked_fill(future, -std::numeric_limits<float>::infinity()), -1);
  if (keep_ == Keep::kRows) kept_.push_back(map_HTT.narrow(1, first_row_, tokens - first_row_).clone());
  if (keep_ == Keep::kHeadMean) kept_.push_back(map_HTT.mean(0));
  if (keep_ == Keep::kMaps) kept_.push_back(map_HTT);
  return at::matmul(map_HTT, v).transpose(0, 1);
}

void RoutingTrace::on_routed(int layer, const Routing& routing, const Dispatch& d) {
  ids_TK.resize(static_cast<size_t>(layer) + 1);
  gates_TK.resize(ids_TK.size());
  ids_TK.back() = routing.ids_TK.detach().cpu().contiguous();
  gates_TK.back() = d.gates_TK.detach().to(at::kFloat).cpu().contiguous();
}

ExplainSequence::ExplainSequence(const ExplainedModel& model, const EnginePrompt& prompt)
    : model_(model), prompt_(prompt), pixels_(pixels_of(image())) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i + 1 < prompt.pixels.size(); ++i) {
    const PixelValues& values = prompt.pixels[i];
    const ImageBox box{values.left, values.top, values.width, values.height};
    earlier_PM_.push_back(vlm().encode_images(pixels_of(values), {box}, nullptr)[0]);
  }
}

at::Tensor ExplainSequence::pixels_of(const PixelValues& values) const {
  const int64_t cell = vlm().config().image.cell_size;
  at::Tensor flat = torch::tensor(values.values);
  return flat.view({1, 3, values.grid.rows * cell, values.grid.columns * cell}).to(model_.device);
}

at::Tensor ExplainSequence::encode(const at::Tensor& pixels_B3HW, VitMaps* maps) const {
  const PixelValues& values = image();
  const ImageBox box{values.left, values.top, values.width, values.height};
  return vlm().encode_images(pixels_B3HW, std::vector<ImageBox>(pixels_B3HW.size(0), box), maps);
}

at::Tensor ExplainSequence::positions(int64_t rows, int64_t length) const {
  if (vlm().config().decoder.rope != RopeKind::kMrope2d)
    return at::arange(length, at::kLong).repeat({rows}).to(model_.device);
  std::vector<int64_t> values;
  for (int i = 0; i < static_cast<int>(length); ++i) {
    const auto position = mrope_position(prompt_.tokens.images, i);
    values.insert(values.end(), position.begin(), position.end());
  }
  return torch::tensor(values, at::kLong).view({length, 3}).repeat({rows, 1}).to(model_.device);
}

at::Tensor ExplainSequence::forward(const at::Tensor& image_BPM, const std::vector<int>& ids,
                                    AttentionBackend& attention, MoeObserver* observer,
                                    std::vector<at::Tensor>* layers) const {
  const int64_t rows = image_BPM.size(0), length = static_cast<int64_t>(ids.size());
  const DecoderConfig& decoder = vlm().config().decoder;
  at::Tensor ids_L = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end())).to(model_.device);
  std::vector<PlacedImage> images;
  for (size_t i = 0; i < earlier_PM_.size(); ++i) {
    const at::Tensor& earlier_PM = earlier_PM_[i];
    images.push_back({prompt_.tokens.images[i].begin, earlier_PM.unsqueeze(0).expand({rows, -1, -1})});
  }
  images.push_back({image_span().begin, image_BPM});
  DecoderInput input = decoder_input(vlm(), ids_L.unsqueeze(0).expand({rows, length}), images);
  input.ops = &reference_ops(model_.device);
  input.positions_T = positions(rows, length);
  input.layer_outputs = layers;
  Sequence fresh;  // strict capacity counts from zero, in each sequence for itself
  fresh.window = CapacityWindow(decoder.num_layers, decoder.moe.num_experts);
  std::optional<StrictCapacity> strict;
  if (model_.strict_factor > 0) {
    Batch batch;
    batch.parts.assign(static_cast<size_t>(rows), BatchPart{&fresh, 0, static_cast<int>(length)});
    input.capacity = &strict.emplace(batch, decoder, model_.strict_factor, model_.device);
  }
  return vlm().decoder().forward(input, attention, observer);
}

at::Tensor ExplainSequence::next_logits(const at::Tensor& image_BPM, const std::vector<int>& ids) const {
  DenseAttention attention(DenseAttention::Keep::kNothing);
  at::Tensor hidden_TD = forward(image_BPM, ids, attention);
  return vlm().decoder().logits(hidden_TD.narrow(0, hidden_TD.size(0) - 1, 1)).to(at::kFloat);
}

}  // namespace sf
