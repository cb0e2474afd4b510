// The visual language model: vision encoder -> projector -> decoder, in one parameter set.
//
//   Vlm vlm(config);
//   const PlacedImage image{.begin = 0, .image_BPM = vlm.encode_images(pixels, boxes)};
//   DecoderInput input = decoder_input(vlm, ids_BL, {image});
//   input.positions_T = positions_T;
//   at::Tensor hidden_TD = vlm.decoder().forward(input, backend);
//
// Thread-safe as long as the weights do not change: const methods only read them.
#pragma once

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/model/decoder.h"
#include "engine/model/projector.h"
#include "engine/model/vit.h"

namespace sf {

class Vlm : public torch::nn::Module {
 public:
  // Errors: InvalidArgument (field "config.json") for a dtype other than f32.
  // Without vision (projector "none") there is the decoder alone; encode_images(), project() and vit() must not be
  // called.
  explicit Vlm(const ModelConfig& config);

  // pixels [B, 3, rows*token_size, columns*token_size] of one grid -> image tokens [B, P, M], modality added: D
  // channels that the decoder begins with, then D for each of vision.deepstack_layers. M == D without them.
  at::Tensor encode_images(const at::Tensor& pixels, const std::vector<ImageBox>& boxes, VitMaps* maps = nullptr) const;
  // The projectors alone: encode()'s tokens, and those behind each of vision.deepstack_layers -> [B, P, M].
  at::Tensor project(const at::Tensor& x_BNW, const std::vector<at::Tensor>& deepstack, int64_t rows,
                     int64_t columns) const;
  // Of any [..., M]: what the decoder begins with, [..., D], and what is injected, [..., M - D]; undefined if nothing
  // is.
  at::Tensor embedded(const at::Tensor& image) const { return image.narrow(-1, 0, config_.decoder.width); }
  at::Tensor injected(const at::Tensor& image) const;
  // ids int64 -> [..., D], modality added.
  at::Tensor embed_text(const at::Tensor& ids) const;

  const Vit& vit() const { return *vit_; }
  Vit& vit() { return *vit_; }  // to train it alone
  const Decoder& decoder() const { return *decoder_; }
  const ModelConfig& config() const { return config_; }
  int64_t num_parameters() const;
  // Parameters that one token uses: top_k of num_experts experts.
  int64_t num_active_parameters() const;

  // Parameters by role. They share storage with the model.
  // Those of the vision encoder, by their names in the model; none without one.
  torch::OrderedDict<std::string, at::Tensor> vision_parameters() const;
  // Whether a parameter of that name is one of them.
  static bool is_vision_parameter(std::string_view name) { return name.starts_with(kVisionPrefix); }
  // [E] of every layer of routed_layers(); empty without bias_balancing. Not trained: update_balance_bias().
  std::vector<at::Tensor> balance_biases() const;

  static constexpr std::string_view kVisionPrefix = "vision.";  // of the encoder's names, in the model and its file

 private:
  ModelConfig config_;
  std::shared_ptr<Vit> vit_;
  std::shared_ptr<Projector> projector_;
  std::vector<std::shared_ptr<Projector>> deepstack_;  // one for each of vision.deepstack_layers
  std::shared_ptr<Decoder> decoder_;
  at::Tensor modality_embedding_;  // [2, D]: image, text
};

}  // namespace sf
