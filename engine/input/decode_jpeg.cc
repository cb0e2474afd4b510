// libjpeg-turbo through its TurboJPEG face, which never longjmps into us.
#include <turbojpeg.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/input/byte_order.h"
#include "engine/input/image_codecs.h"

namespace sf {
namespace {

// Each scan of a progressive JPEG visits the whole picture, so scans multiply the cost of few bytes. Usual: ~10.
constexpr int kMaxScans = 100;

struct HandleDeleter {
  void operator()(void* handle) const { tjDestroy(handle); }
};

// In entropy-coded data 0xff is always followed by 0x00 or a restart marker, so a start-of-scan marker is one.
int count_scans(std::string_view bytes, size_t entropy_offset) {
  int num_scans = 1;
  for (size_t at = bytes.find('\xff', entropy_offset); at != std::string_view::npos && at + 1 < bytes.size();
       at = bytes.find('\xff', at + 1)) {
    if (byte_at(bytes, at + 1) == 0xda) ++num_scans;
  }
  return num_scans;
}

std::vector<uint8_t> rgb_of_cmyk(const std::vector<uint8_t>& cmyk, bool inverted) {
  std::vector<uint8_t> rgb(cmyk.size() / 4 * 3);
  const unsigned flip = inverted ? 0 : 255;
  for (size_t i = 0, j = 0; j < rgb.size(); i += 4, j += 3) {
    const unsigned key = cmyk[i + 3] ^ flip;
    for (size_t c = 0; c < 3; ++c) rgb[j + c] = static_cast<uint8_t>(((cmyk[i + c] ^ flip) * key + 127u) / 255u);
  }
  return rgb;
}

}  // namespace

Image decode_jpeg(std::string_view bytes, const ImageHeader& header) {
  const JpegFrame frame = read_jpeg_frame(bytes, /*to_first_scan=*/true);
  if (count_scans(bytes, frame.entropy_offset) > kMaxScans) throw bad_image("JPEG has more than ", kMaxScans, " scans");

  const std::unique_ptr<void, HandleDeleter> handle(tjInitDecompress());
  SF_CHECK(handle != nullptr, "image: JPEG decoder could not be made");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());

  // An odd sampling makes this call fail after it has filled in the size; decoding copes with it.
  int width = 0, height = 0, subsampling = 0, colorspace = -1;
  tjDecompressHeader3(handle.get(), data, size, &width, &height, &subsampling, &colorspace);
  if (width != header.width || height != header.height) throw bad_image("JPEG header is broken");

  const bool cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  std::vector<uint8_t> pixels(static_cast<size_t>(width) * static_cast<size_t>(height) * (cmyk ? 4 : 3));
  // A warning means missing or damaged data; stopping there also bounds the time that a cut file can take.
  if (tjDecompress2(handle.get(), data, size, pixels.data(), width, 0, height, cmyk ? TJPF_CMYK : TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
    throw bad_image("JPEG is truncated or corrupt (", tjGetErrorStr2(handle.get()), ")");
  }
  if (cmyk) pixels = rgb_of_cmyk(pixels, frame.adobe_marker);
  return {width, height, std::move(pixels)};
}

}  // namespace sf
