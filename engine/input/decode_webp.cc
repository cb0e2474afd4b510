#include <webp/decode.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/input/image_codecs.h"

namespace sf {

Image decode_webp(std::string_view bytes, const ImageHeader& header) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) throw bad_image("WebP header is broken");
  const int channels = features.has_alpha != 0 ? 4 : 3;
  const int stride = header.width * channels;
  std::vector<uint8_t> pixels(static_cast<size_t>(stride) * static_cast<size_t>(header.height));
  const auto decode = channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(data, bytes.size(), pixels.data(), pixels.size(), stride) == nullptr) {
    throw bad_image("WebP is truncated or corrupt");
  }
  if (channels == 4) pixels = composite_over_white(pixels);
  return {header.width, header.height, std::move(pixels)};
}

}  // namespace sf
