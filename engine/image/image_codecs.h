// Shared by image.cc and image_header.cc: one header reader and one decoder for each format, over libpng, libjpeg-turbo
// and libwebp. Thread-safe; every function throws InvalidArgument (field "image") for broken data.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/image.h"

namespace sf {

inline constexpr std::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
inline constexpr std::string_view kJpegMagic("\xff\xd8\xff", 3);

using DecodeCheck = std::function<void()>;  // DecodeOptions::check

template <typename... Args>
Error bad_image(const Args&... message) {
  return invalid_argument("image", "image: ", message...);
}

template <typename... Args>
Error too_large_image(const Args&... message) {
  return Error(Code::kResourceExhausted, concat("image: ", message...), "image", Reason::kTooLarge);
}

// Size as stored, before the orientation. `format` and `orientation` are set.
ImageHeader read_png_header(std::string_view bytes);
ImageHeader read_jpeg_header(std::string_view bytes);
ImageHeader read_webp_header(std::string_view bytes);

// Pixels as stored; `header` is what read_*_header gave. `check` is never null.
Image decode_png(std::string_view bytes, const ImageHeader& header, const DecodeCheck& check);
// `scale`: 1, 2, 4 or 8 stands for 1/scale of the size.
Image decode_jpeg(std::string_view bytes, const ImageHeader& header, int scale, const DecodeCheck& check);
Image decode_webp(std::string_view bytes, const ImageHeader& header, const DecodeCheck& check);

// Effect: RGBA (not premultiplied) over white in place, in the stored (gamma) space as browsers and PIL do: the vector
// then holds RGB.
void composite_over_white(std::vector<uint8_t>& rgba);

}  // namespace sf
