// What the decoder begins a step with: the rows of a batch's text tokens and of its images.
//
//   EncodedImages encoded = encode_images(vlm, parts, device);  // fills Sequence::image_PM where this step needs it
//   embed_batch(vlm, batch, input);
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

// Effect: fills x_TD with the text embeddings of all tokens and the image tokens' rows in their places, and injected_TI
// behind them where the model injects; an image whose last token is embedded is let go of. REQUIRES: encode_images().
void embed_batch(const Vlm& vlm, const Batch& batch, DecoderInput& input);

}  // namespace sf
