#include "engine/input/image.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/input/image_codecs.h"

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

Image decode_stored(std::string_view bytes, const ImageHeader& stored) {
  switch (stored.format) {
    case ImageFormat::kPng:
      return decode_png(bytes, stored);
    case ImageFormat::kJpeg:
      return decode_jpeg(bytes, stored);
    case ImageFormat::kWebp:
      return decode_webp(bytes, stored);
  }
  throw Error(Code::kInternal, "image: format without a decoder");
}

}  // namespace

std::vector<uint8_t> composite_over_white(const std::vector<uint8_t>& rgba) {
  std::vector<uint8_t> rgb(rgba.size() / 4 * 3);
  for (size_t i = 0, j = 0; j < rgb.size(); i += 4, j += 3) {
    const unsigned alpha = rgba[i + 3];
    for (size_t c = 0; c < 3; ++c) {
      rgb[j + c] = static_cast<uint8_t>((rgba[i + c] * alpha + 255u * (255u - alpha) + 127u) / 255u);
    }
  }
  return rgb;
}

Image decode_image(std::string_view bytes, const ImageLimits& limits) {
  ImageHeader header = read_image_header(bytes, limits);
  const int orientation = header.orientation;
  if (orientation >= 5) std::swap(header.width, header.height);  // back to the stored size
  return upright(decode_stored(bytes, header), orientation);
}

}  // namespace sf
