// What the decoder is given: one definition of how a prompt's text and images become its rows, for serving, training
// and explanations.
//
//   const PlacedImage image{.begin = 0, .image_BPM = vlm.encode_images(pixels, boxes)};
//   DecoderInput input = decoder_input(vlm, ids_BL, {image});
//   input.positions_T = positions_T;
//   at::Tensor hidden_TD = vlm.decoder().forward(input, attention);
//
// Plain values; decoder_input() is thread-safe.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "engine/kernels/ops.h"
#include "engine/model/moe_layer.h"

namespace sf {

class Vlm;

struct DecoderInput {
  at::Tensor x_TD;         // embedded tokens, modality added
  at::Tensor positions_T;  // int64 [T]; [T, 3] of (time, row, column) where the config says rope mrope2d
  // Tokens that are real; undefined = all. Padding never routes, counts or takes capacity.
  at::Tensor real_tokens;  // int64 indices into T, ascending
  // Injected features of the encoder (DeepStack): columns [k*D, (k+1)*D) are added behind block k; zero for text.
  at::Tensor injected_TI;                     // undefined = none
  const Ops* ops = &reference_ops(at::kCPU);  // of the device that everything is on
  CapacityPolicy* capacity = nullptr;         // null = dropless
  RoutingHook* routing_hook = nullptr;
  std::vector<at::Tensor>* layer_outputs = nullptr;  // filled with the residual stream behind each block, where set
};

// Image tokens in every row of a batch; P may be a part of an image's.
struct PlacedImage {
  int64_t begin = 0;     // the first one's column
  at::Tensor image_BPM;  // as Vlm::encode_images() makes them
};

// ids_BL int64 -> x_TD and injected_TI of T = B*L tokens: text is embedded, the ids below images do not count.
// Differentiable. REQUIRES: images in ascending order, apart from each other and within L.
DecoderInput decoder_input(const Vlm& vlm, const at::Tensor& ids_BL, const std::vector<PlacedImage>& images);

}  // namespace sf
