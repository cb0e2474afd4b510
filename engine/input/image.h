// Encoded bytes -> RGB pixels, bounded before anything is decoded.
//
//   ImageHeader header = read_image_header(bytes, limits);   // magic bytes and size only: no pixel is decoded
//   Image image = decode_image(bytes, limits);               // upright (EXIF orientation applied), RGB, alpha over
//   white
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

struct ImageLimits {
  int64_t max_bytes = 10 << 20;     // encoded size
  int64_t max_pixels = 16'000'000;  // width x height, inclusive, read from the header
};

enum class ImageFormat { kPng, kJpeg, kWebp };

struct ImageHeader {
  ImageFormat format;
  int width;  // pixels, upright: after the EXIF orientation
  int height;
  int orientation;  // EXIF 1..8
};

// 8-bit RGB, rows top to bottom, no padding: pixels.size() == width * height * 3.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;
};

// Effect: sniffs the format by magic bytes and reads the size. Thread-safe.
// Errors: InvalidArgument/kUnsupportedType for anything but PNG, JPEG, WebP; ResourceExhausted/kTooLarge above a limit;
// InvalidArgument for a broken header or an empty image. Every error's field is "image".
ImageHeader read_image_header(std::string_view bytes, const ImageLimits& limits = {});

// Effect: decodes the whole picture: 16-bit, grey, palette and alpha PNGs, CMYK JPEGs included. Thread-safe.
// Errors: those of read_image_header; InvalidArgument for truncated or corrupt data.
Image decode_image(std::string_view bytes, const ImageLimits& limits = {});

// Effect: a PNG of 8-bit RGB. Thread-safe. Errors: Internal if the codec fails.
std::string encode_png(const Image& image);

}  // namespace sf
