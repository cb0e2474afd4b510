#include "engine/image/image.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/image/image_codecs.h"

namespace sf {
namespace {

// Where the upright pixel (x, y) is stored, by EXIF orientation. width and height are the stored ones.
size_t stored_index(int orientation, int x, int y, int width, int height) {
  int column = x, row = y;
  switch (orientation) {
    case 2:
      column = width - 1 - x;
      break;
    case 3:
      column = width - 1 - x;
      row = height - 1 - y;
      break;
    case 4:
      row = height - 1 - y;
      break;
    case 5:
      column = y;
      row = x;
      break;
    case 6:
      column = y;
      row = height - 1 - x;
      break;
    case 7:
      column = width - 1 - y;
      row = height - 1 - x;
      break;
    case 8:
      column = width - 1 - y;
      row = x;
      break;
    default:
      break;
  }
  return size_t{3} * (static_cast<size_t>(row) * static_cast<size_t>(width) + static_cast<size_t>(column));
}

Image upright(Image stored, int orientation) {
  if (orientation == 1) return stored;
  Image image;
  image.width = orientation >= 5 ? stored.height : stored.width;
  image.height = orientation >= 5 ? stored.width : stored.height;
  image.pixels.resize(stored.pixels.size());
  uint8_t* out = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x, out += 3) {
      std::memcpy(out, &stored.pixels[stored_index(orientation, x, y, stored.width, stored.height)], 3);
    }
  }
  return image;
}

int64_t scaled(int64_t side, int scale) { return (side + scale - 1) / scale; }

// The denominator of a JPEG's scale, 1 up to kMaxDecodedPixels. Above, of 8, 4 and 2 the largest that leaves no fewer
// pixels than are needed on either side, or else the smallest that is within kMaxDecodedPixels. `header`: upright.
int jpeg_scale(const ImageHeader& header, const DecodeOptions& options) {
  const auto pixels = [&](int scale) { return scaled(header.width, scale) * scaled(header.height, scale); };
  if (pixels(1) <= kMaxDecodedPixels) return 1;
  int smallest = 2;
  while (smallest < 8 && pixels(smallest) > kMaxDecodedPixels) smallest *= 2;
  if (!options.needed_size) return smallest;
  const ImageSize needed = options.needed_size(header.width, header.height);
  for (int scale = 8; scale > smallest; scale /= 2) {
    if (scaled(header.width, scale) >= needed.width && scaled(header.height, scale) >= needed.height) return scale;
  }
  return smallest;
}

Image decode_stored(std::string_view bytes, const ImageHeader& stored, int scale, const DecodeCheck& check) {
  switch (stored.format) {
    case ImageFormat::kPng:
      return decode_png(bytes, stored, check);
    case ImageFormat::kJpeg:
      return decode_jpeg(bytes, stored, scale, check);
    case ImageFormat::kWebp:
      return decode_webp(bytes, stored, check);
  }
  throw Error(Code::kInternal, "image: format without a decoder");
}

}  // namespace

void composite_over_white(std::vector<uint8_t>& rgba) {
  const size_t num_pixels = rgba.size() / 4;
  for (size_t i = 0; i < num_pixels; ++i) {
    const uint8_t* from = &rgba[i * 4];
    const unsigned alpha = from[3];
    uint8_t* to = &rgba[i * 3];
    for (size_t c = 0; c < 3; ++c) {
      to[c] = static_cast<uint8_t>((from[c] * alpha + 255u * (255u - alpha) + 127u) / 255u);
    }
  }
  rgba.resize(num_pixels * 3);
}

Image decode_image(std::string_view bytes, const ImageLimits& limits, const DecodeOptions& options) {
  ImageHeader header = read_image_header(bytes, limits);
  const int orientation = header.orientation;
  const int scale = header.format == ImageFormat::kJpeg ? jpeg_scale(header, options) : 1;
  if (orientation >= 5) std::swap(header.width, header.height);  // back to the stored size
  const DecodeCheck check = options.check ? options.check : [] {};
  return upright(decode_stored(bytes, header, scale, check), orientation);
}

}  // namespace sf
