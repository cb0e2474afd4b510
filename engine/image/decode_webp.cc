#include <webp/decode.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/image/byte_order.h"
#include "engine/image/exif.h"
#include "engine/image/image_codecs.h"

namespace sf {
namespace {

constexpr size_t kFrameHeaderSize = 16;  // of ANMF, before the frame's own chunks

struct RiffChunk {
  std::string_view type;  // four characters
  std::string_view data;
};

// The chunks of a WebP container, as far as they are whole.
class RiffChunks {
 public:
  explicit RiffChunks(std::string_view webp) : rest_(webp.substr(12, std::max<size_t>(le32(webp, 4), 4) - 4)) {}

  bool next() {
    if (rest_.size() < 8) return false;
    const size_t length = le32(rest_, 4);
    if (length > rest_.size() - 8) return false;
    chunk_ = {rest_.substr(0, 4), rest_.substr(8, length)};
    rest_.remove_prefix(std::min(rest_.size(), 8 + length + (length & 1)));
    return true;
  }
  const RiffChunk& chunk() const { return chunk_; }

 private:
  std::string_view rest_;
  RiffChunk chunk_;
};

WebPBitstreamFeatures features_of(std::string_view bytes) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &features) != VP8_STATUS_OK) {
    throw bad_image("WebP header is broken");
  }
  return features;
}

struct Decoder {
  void operator()(WebPIDecoder* decoder) const { WebPIDelete(decoder); }
};

struct Pixels {
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> bytes;
};

// Effect: decodes one bitstream (with its alpha chunk, or a whole file of one image).
// The decoder is shown twice as many bytes each time: what it cannot resume it does again, at most as much as it did.
Pixels decode_bitstream(std::string_view bytes, const DecodeCheck& check) {
  const WebPBitstreamFeatures features = features_of(bytes);
  Pixels pixels{features.width, features.height, features.has_alpha != 0 ? 4 : 3, {}};
  const int stride = pixels.width * pixels.channels;
  pixels.bytes.resize(static_cast<size_t>(stride) * static_cast<size_t>(pixels.height));
  const std::unique_ptr<WebPIDecoder, Decoder> decoder(
      WebPINewRGB(pixels.channels == 4 ? MODE_RGBA : MODE_RGB, pixels.bytes.data(), pixels.bytes.size(), stride));
  SF_CHECK(decoder != nullptr, "image: WebP decoder could not be made");

  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  for (size_t shown = size_t{64} << 10; status == VP8_STATUS_SUSPENDED; shown *= 2) {
    check();
    const size_t size = std::min(shown, bytes.size());
    status = WebPIUpdate(decoder.get(), reinterpret_cast<const uint8_t*>(bytes.data()), size);
    if (size == bytes.size()) break;
  }
  if (status != VP8_STATUS_OK) throw bad_image("WebP is truncated or corrupt");
  return pixels;
}

// The first frame of an animation, on a transparent canvas of the header's size.
Pixels decode_first_frame(std::string_view bytes, const ImageHeader& header, const DecodeCheck& check) {
  RiffChunks chunks(bytes);
  while (chunks.next() && chunks.chunk().type != "ANMF") continue;
  const std::string_view data = chunks.chunk().data;
  if (chunks.chunk().type != "ANMF" || data.size() < kFrameHeaderSize) throw bad_image("WebP animation has no frame");
  const int64_t left = int64_t{2} * le24(data, 0), top = int64_t{2} * le24(data, 3);
  const std::string_view bitstream = data.substr(kFrameHeaderSize);
  const WebPBitstreamFeatures features = features_of(bitstream);
  if (left + features.width > header.width || top + features.height > header.height) {
    throw bad_image("WebP frame lies outside of its canvas");
  }
  Pixels frame = decode_bitstream(bitstream, check);
  if (frame.width == header.width && frame.height == header.height) return frame;

  Pixels canvas{header.width, header.height, 4, {}};
  canvas.bytes.resize(static_cast<size_t>(canvas.width) * static_cast<size_t>(canvas.height) * 4);
  const uint8_t* from = frame.bytes.data();
  for (int y = 0; y < frame.height; ++y) {
    const auto row = static_cast<size_t>(top + y) * static_cast<size_t>(canvas.width);
    uint8_t* to = &canvas.bytes[(row + static_cast<size_t>(left)) * 4];
    for (int x = 0; x < frame.width; ++x, from += frame.channels, to += 4) {
      std::memcpy(to, from, 3);
      to[3] = frame.channels == 4 ? from[3] : 255;
    }
  }
  return canvas;
}

}  // namespace

ImageHeader read_webp_header(std::string_view bytes) {
  const size_t riff_size = le32(bytes, 4);
  if (riff_size > bytes.size() - 8) throw bad_image("WebP is truncated");
  const WebPBitstreamFeatures features = features_of(bytes);
  ImageHeader header{ImageFormat::kWebp, features.width, features.height, 1};
  for (RiffChunks chunks(bytes); chunks.next();) {
    if (chunks.chunk().type == "EXIF") header.orientation = exif_orientation(chunks.chunk().data);
  }
  return header;
}

Image decode_webp(std::string_view bytes, const ImageHeader& header, const DecodeCheck& check) {
  const bool animated = features_of(bytes).has_animation != 0;
  Pixels pixels = animated ? decode_first_frame(bytes, header, check) : decode_bitstream(bytes, check);
  if (pixels.width != header.width || pixels.height != header.height) throw bad_image("WebP header is broken");
  if (pixels.channels == 4) composite_over_white(pixels.bytes);
  return {header.width, header.height, std::move(pixels.bytes)};
}

}  // namespace sf
