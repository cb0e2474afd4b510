// What image.cc and image_header.cc share: containers read by hand, pixels decoded by libpng, libjpeg-turbo and
// libwebp. Every function is thread-safe and throws InvalidArgument (field "image") for broken data.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/input/image.h"

namespace sf {

inline constexpr std::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
inline constexpr std::string_view kJpegMagic("\xff\xd8\xff", 3);

template <typename... Args>
Error bad_image(const Args&... message) {
  return invalid_argument("image", "image: ", message...);
}

struct PngChunk {
  std::string_view type;   // four characters
  std::string_view whole;  // length, type, data and CRC
  std::string_view data;
};

// Effect: the chunks up to and including IEND; what follows IEND is ignored. Errors: a chunk that is cut off, no IEND.
std::vector<PngChunk> split_png(std::string_view bytes);

// What the frame header of a JPEG says, and where its first scan starts.
struct JpegFrame {
  int width = 0;
  int height = 0;
  int num_components = 0;
  bool adobe_marker = false;  // Adobe's CMYK is stored inverted
  int orientation = 1;
  size_t entropy_offset = 0;  // 0 where the walk stopped at the frame header
};

// Effect: walks the segments up to the frame header, or up to the first scan if `to_first_scan`.
JpegFrame read_jpeg_frame(std::string_view bytes, bool to_first_scan);

// Size as stored, before the orientation. `format` and `orientation` are set.
ImageHeader read_png_header(std::string_view bytes);
ImageHeader read_jpeg_header(std::string_view bytes);
ImageHeader read_webp_header(std::string_view bytes);

// Pixels as stored; `header` is what read_*_header gave.
Image decode_png(std::string_view bytes, const ImageHeader& header);
Image decode_jpeg(std::string_view bytes, const ImageHeader& header);
Image decode_webp(std::string_view bytes, const ImageHeader& header);

// Effect: RGBA (not premultiplied) over white, in the stored (gamma) space as browsers and PIL do.
std::vector<uint8_t> composite_over_white(const std::vector<uint8_t>& rgba);

}  // namespace sf
