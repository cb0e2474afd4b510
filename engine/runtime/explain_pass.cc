#include "engine/runtime/explain_pass.h"

#include <cmath>
#include <limits>

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

void RoutingTrace::on_routed(int, const Routing& routing, const Dispatch& d) {
  ids_TK.push_back(routing.ids_TK.detach().cpu().contiguous());
  gates_TK.push_back(d.gates_TK.detach().to(at::kFloat).cpu().contiguous());
}

ExplainSequence::ExplainSequence(const Vlm& vlm, at::Device device, const EnginePrompt& prompt)
    : vlm_(vlm), device_(device), prompt_(prompt) {
  const PixelValues& values = picture();
  const int64_t cell = vlm.config().image.cell_size;
  pixels_ = torch::tensor(values.values).view({1, 3, values.grid.rows * cell, values.grid.columns * cell}).to(device);
}

at::Tensor ExplainSequence::encode(const at::Tensor& pixels_B3HW, VitMaps* maps) const {
  const PixelValues& values = picture();
  const PictureBox box{values.left, values.top, values.width, values.height};
  return vlm_.encode_images(pixels_B3HW, std::vector<PictureBox>(pixels_B3HW.size(0), box), maps);
}

DecoderInput ExplainSequence::input(const at::Tensor& image_BPD, const std::vector<int>& ids) const {
  const int64_t rows = image_BPD.size(0), length = static_cast<int64_t>(ids.size());
  const ImageSpan span = image_span();
  at::Tensor ids_L = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end())).to(device_);
  at::Tensor text_BLD = vlm_.embed_text(ids_L).unsqueeze(0).expand({rows, length, image_BPD.size(2)});
  DecoderInput input;
  input.x_TD = at::cat({text_BLD.narrow(1, 0, span.begin), image_BPD, text_BLD.slice(1, span.begin + span.count)}, 1)
                   .flatten(0, 1);
  input.positions_T = at::arange(length, ids_L.options()).repeat({rows});
  return input;
}

at::Tensor ExplainSequence::next_logits(const at::Tensor& image_BPD, const std::vector<int>& ids) const {
  DenseAttention attention(DenseAttention::Keep::kNothing);
  at::Tensor hidden_TD = vlm_.decoder().forward(input(image_BPD, ids), attention);
  return vlm_.decoder().logits(hidden_TD.narrow(0, hidden_TD.size(0) - 1, 1)).to(at::kFloat);
}

}  // namespace sf
