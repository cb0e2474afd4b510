// What the decoder begins a step with: the rows of a batch's text tokens and of its images.
//
//   EncodedImages encoded = encode_images(vlm, parts, device);  // fills Sequence::image_PM where this step needs it
//   DecoderInput input = embed_batch(vlm, batch);
//
// One thread only.
#pragma once

#include "engine/model/vlm.h"
#include "engine/runtime/batch.h"

namespace sf {

struct EncodedImages {
  int count = 0;
  double seconds = 0;  // wall time; 0 for none
};

// Effect: encodes the images whose tokens `parts` need and that are not encoded yet, one batch per grid.
EncodedImages encode_images(const Vlm& vlm, const std::vector<BatchPart>& parts, at::Device device);

// decoder_input() of the batch's tokens. Effect: an image whose last token is embedded is freed. REQUIRES:
// encode_images().
DecoderInput embed_batch(const Vlm& vlm, const Batch& batch);

}  // namespace sf
