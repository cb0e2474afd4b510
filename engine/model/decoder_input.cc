#include "engine/model/decoder_input.h"

#include "engine/base/error.h"
#include "engine/model/vlm.h"

namespace sf {
namespace {

at::Tensor join_columns(const std::vector<at::Tensor>& pieces_BLX) {
  return (pieces_BLX.size() == 1 ? pieces_BLX[0] : at::cat(pieces_BLX, 1)).flatten(0, 1);
}

}  // namespace

DecoderInput decoder_input(const Vlm& vlm, const at::Tensor& ids_BL, const std::vector<PlacedImage>& images) {
  const at::Tensor first_injected = images.empty() ? at::Tensor() : vlm.injected(images.front().image_BPM);
  std::vector<at::Tensor> x, injected;
  int64_t column = 0;
  const auto add_text_until = [&](int64_t end) {
    if (end == column) return;
    x.push_back(vlm.embed_text(ids_BL.narrow(1, column, end - column)));
    if (first_injected.defined()) {
      injected.push_back(at::zeros({ids_BL.size(0), end - column, first_injected.size(2)}, first_injected.options()));
    }
  };
  for (const PlacedImage& image : images) {
    SF_CHECK(image.begin >= column, "decoder_input: images overlap or are out of order");
    add_text_until(image.begin);
    x.push_back(vlm.embedded(image.image_BPM));
    if (first_injected.defined()) injected.push_back(vlm.injected(image.image_BPM));
    column = image.begin + image.image_BPM.size(1);
  }
  SF_CHECK(column <= ids_BL.size(1), "decoder_input: an image ends beyond the tokens");
  add_text_until(ids_BL.size(1));
  DecoderInput input;
  input.x_TD = join_columns(x);
  if (first_injected.defined()) input.injected_TI = join_columns(injected);
  return input;
}

}  // namespace sf
