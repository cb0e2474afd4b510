// One sequence through the model outside the cache: whole, dense, and keeping what an explanation needs.
//
//   ExplainSequence sequence(model, prompt);
//   at::Tensor image_BPM = sequence.encode(sequence.pixels());
//   DenseAttention attention(DenseAttention::Keep::kMaps);
//   at::Tensor hidden_TD = sequence.forward(image_BPM, ids, attention);
//
// One thread only for an object of these classes. The model is only read: other threads may use it meanwhile.
#pragma once

#include <algorithm>
#include <vector>

#include <torch/torch.h>

#include "engine/model/attention.h"
#include "engine/model/moe_layer.h"
#include "engine/model/vlm.h"
#include "engine/runtime/sequence.h"
#include "engine/text/tokenizer.h"

namespace sf {

// What an explanation needs of an engine. Everything outlives it.
struct ExplainedModel {
  const Vlm& vlm;
  const std::shared_ptr<const Tokenizer>& tokenizer;
  at::Device device;
  int max_context = 0;
  double strict_factor = 0;  // the capacity factor where the engine drops (strict mode); 0 = dropless
};

// Causal attention of one sequence, computed eagerly.
class DenseAttention : public AttentionBackend {
 public:
  enum class Keep {
    kNothing,
    kRows,      // [H, T - first_row, T]
    kHeadMean,  // [T, T]
    kMaps,      // [H, T, T], part of the graph of what follows
  };
  explicit DenseAttention(Keep keep, int64_t first_row = 0) : keep_(keep), first_row_(first_row) {}
  at::Tensor attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) override;
  // By layer.
  const std::vector<at::Tensor>& kept() const { return kept_; }

 private:
  Keep keep_;
  int64_t first_row_;
  std::vector<at::Tensor> kept_;
};

// Which experts every token was given, by the decoder's layer; undefined in dense ones, and behind the last that
// routes.
class RoutingTrace : public MoeObserver {
 public:
  void on_routed(int layer, const Routing& routing, const Dispatch& d) override;
  std::vector<at::Tensor> ids_TK;    // int64, on the CPU
  std::vector<at::Tensor> gates_TK;  // f32
};

// Of several images the last one is explained; the others stay as they are. REQUIRES: model and prompt outlive it;
// the prompt has an image.
class ExplainSequence {
 public:
  ExplainSequence(const ExplainedModel& model, const EnginePrompt& prompt);
  // The explained image as the model sees it, [1, 3, rows*cell, columns*cell].
  const at::Tensor& pixels() const { return pixels_; }
  // Images laid out as pixels() is -> image tokens [B, P, M].
  at::Tensor encode(const at::Tensor& pixels_B3HW, VitMaps* maps = nullptr) const;
  // The sequence `ids` (prompt, answer) once for each image -> final hidden states [B * ids.size(), D]. `layers`,
  // where set, is filled with the residual stream behind each block. REQUIRES: an attention that keeps the B sequences
  // apart.
  at::Tensor forward(const at::Tensor& image_BPM, const std::vector<int>& ids, AttentionBackend& attention,
                     MoeObserver* observer = nullptr, std::vector<at::Tensor>* layers = nullptr) const;
  // A pass of one image that keeps nothing: the logits of the token after `ids`, [1, V].
  at::Tensor next_logits(const at::Tensor& image_BPM, const std::vector<int>& ids) const;

  const Vlm& vlm() const { return model_.vlm; }
  const PixelValues& image() const { return prompt_.pixels.back(); }
  const ImageSpan& image_span() const { return prompt_.tokens.images.back(); }
  // Whether token `index` stands for any image.
  bool is_image_token(int index) const {
    const auto& images = prompt_.tokens.images;
    return std::any_of(images.begin(), images.end(),
                       [&](const ImageSpan& span) { return index >= span.begin && index < span.begin + span.count; });
  }
  int prompt_tokens() const { return prompt_.num_tokens(); }

 private:
  at::Tensor pixels_of(const PixelValues& values) const;
  at::Tensor positions(int64_t rows, int64_t length) const;

  const ExplainedModel& model_;
  const EnginePrompt& prompt_;
  at::Tensor pixels_;
  std::vector<at::Tensor> earlier_PM_;  // image tokens of the images before it
};

}  // namespace sf
