// Encoded bytes -> RGB pixels, bounded in memory and work before anything is decoded.
//
//   ImageHeader header = read_image_header(bytes, limits);  // magic bytes and headers only: no pixel is decoded
//   Image image = decode_image(bytes, limits);              // upright (EXIF applied), RGB, alpha over white
//
// Thread-safe: free functions and plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

// More pixels than this are never held: a larger JPEG is decoded at a reduced scale, any other format is refused.
inline constexpr int64_t kMaxDecodedPixels = 16'000'000;
// Of either side, in any format: what a JPEG can say. The cost of a decode has a part for each row.
inline constexpr int kMaxImageSide = 65'535;

struct ImageLimits {
  int64_t max_bytes = 10 << 20;          // encoded size
  int64_t max_pixels = 64'000'000;       // width x height, inclusive, read from the header
  int64_t max_decode_bytes = 256 << 20;  // coefficients of a JPEG of several scans, which are held until the last one
};

enum class ImageFormat { kPng, kJpeg, kWebp };

struct ImageHeader {
  ImageFormat format;
  int width;  // pixels, upright: after the EXIF orientation
  int height;
  int orientation;                // EXIF 1..8
  int64_t coefficient_bytes = 0;  // held while a JPEG of several scans is decoded
};

struct ImageSize {
  int64_t width = 0;
  int64_t height = 0;
};

struct DecodeOptions {
  // The size to which an upright image of the given size is going to be resized. Above kMaxDecodedPixels a JPEG is
  // decoded at the smallest scale of 1/2, 1/4 and 1/8 that is no smaller, or else at 1/2. Null: at 1/2. (Where 1/2 is
  // above kMaxDecodedPixels too, the next scale takes its place.)
  std::function<ImageSize(int width, int height)> needed_size;
  // Called repeatedly during the decode, on the caller's thread; what it throws ends the decode. Null: not called.
  std::function<void()> check;
};

// 8-bit RGB, rows top to bottom, no padding: pixels.size() == width * height * 3.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;
};

// Effect: detects the format by its magic bytes and reads the size.
// Errors: InvalidArgument/kUnsupportedType for anything but PNG, JPEG, WebP; ResourceExhausted/kTooLarge above a limit,
// which the message names; InvalidArgument for a broken header or an empty image. Every error's field is "image".
ImageHeader read_image_header(std::string_view bytes, const ImageLimits& limits = {});

// Effect: decodes the whole image (of an animation the first one): 16-bit, grey, palette and alpha PNGs, CMYK JPEGs
// included. Holds at most 6 bytes a decoded pixel and a JPEG's coefficients.
// Errors: those of read_image_header; InvalidArgument for corrupt data or missing rows; what options.check throws.
Image decode_image(std::string_view bytes, const ImageLimits& limits = {}, const DecodeOptions& options = {});

// Effect: a PNG of 8-bit RGB. Errors: Internal if the codec fails.
std::string encode_png(const Image& image);

}  // namespace sf
