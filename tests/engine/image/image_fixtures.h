// Encoded images made at test time: PNGs chunk by chunk from the specification (independent of libpng), JPEGs and
// WebPs by their own libraries' encoders.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/image/image.h"

namespace sf::fixtures {

struct PngSpec {
  uint32_t width = 1;
  uint32_t height = 1;
  int bit_depth = 8;
  int color_type = 2;  // 0 grey, 2 RGB, 3 palette, 4 grey+alpha, 6 RGBA
  bool interlaced = false;
};

std::string png_chunk(std::string_view type, std::string_view data);
std::string png_header(const PngSpec& spec);  // magic and IHDR
std::string deflated(std::string_view raw);
// rows = filter bytes and samples as the specification packs them; `before_data` stands between IHDR and IDAT.
std::string png(const PngSpec& spec, std::string_view rows, std::string_view before_data = "");
// An 8-bit RGB PNG of `image`, interlaced (Adam7) or not.
std::string png_of(const Image& image, bool interlaced = false, std::string_view before_data = "");

// options: TJSAMP_*, and TJFLAG_PROGRESSIVE where wanted. Quality 95.
std::string jpeg_of(const Image& image, int subsampling, int flags = 0);
// What TurboJPEG's own interface cannot write.
struct JpegSpec {
  bool progressive = false;
  bool arithmetic = false;
  bool scan_for_each_component = false;  // sequential, not interleaved
  int restart_interval = 0;              // MCUs
  int sampling_h = 1, sampling_v = 1;    // of luminance; the others have 1x1
};
std::string jpeg(const Image& image, const JpegSpec& spec);
// Four bytes a pixel, stored as they are, without Adobe's marker.
std::string plain_cmyk_jpeg(const std::vector<uint8_t>& cmyk, int width, int height);
// Four bytes a pixel as stored; becomes an Adobe YCCK file.
std::string cmyk_jpeg(const std::vector<uint8_t>& cmyk, int width, int height);
std::string webp_of(const Image& image);                                               // lossless
std::string webp_with_alpha(const std::vector<uint8_t>& rgba, int width, int height);  // lossless

// Each frame (lossless) at (2, 4) of a transparent canvas.
std::string animated_webp(const std::vector<Image>& frames, int width, int height);

// The EXIF block (TIFF, without "Exif\0\0") that says `orientation`.
std::string exif_block(int orientation, bool little_endian);
// `jpeg` with an APP1 segment of that block behind its SOI.
std::string with_exif(std::string_view jpeg, std::string_view block);

Image make_image(int width, int height, const std::function<uint8_t(int x, int y, int channel)>& value);
// Smooth, so that JPEG keeps it within a few levels.
Image gradient(int width, int height);

}  // namespace sf::fixtures
