#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "engine/image/byte_order.h"
#include "engine/image/exif.h"
#include "engine/image/image.h"
#include "engine/image/image_codecs.h"
#include "engine/image/png_chunks.h"

namespace sf {
namespace {

constexpr uint32_t kMaxPngSide = 0x7fffffff;

ImageFormat sniff(std::string_view bytes) {
  if (bytes.starts_with(kPngMagic)) return ImageFormat::kPng;
  if (bytes.starts_with(kJpegMagic)) return ImageFormat::kJpeg;
  if (bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return ImageFormat::kWebp;
  throw Error(Code::kInvalidArgument, "image: not a PNG, JPEG or WebP", "image", Reason::kUnsupportedType);
}

ImageHeader read_stored_header(std::string_view bytes) {
  switch (sniff(bytes)) {
    case ImageFormat::kPng:
      return read_png_header(bytes);
    case ImageFormat::kJpeg:
      return read_jpeg_header(bytes);
    case ImageFormat::kWebp:
      return read_webp_header(bytes);
  }
  throw Error(Code::kInternal, "image: format without a reader");
}

const char* name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kWebp:
      return "WebP";
  }
  return "";
}

// Errors: ResourceExhausted that names the limit.
void check_size(const ImageHeader& header, const ImageLimits& limits) {
  const auto size = [&] { return concat(header.width, "x", header.height); };
  const int64_t num_pixels = int64_t{header.width} * header.height;
  if (num_pixels > limits.max_pixels) {
    throw too_large_image("more than ", limits.max_pixels, " pixels (max_image_pixels), got ", size());
  }
  if (std::max(header.width, header.height) > kMaxImageSide) {
    throw too_large_image("a side is longer than ", kMaxImageSide, " pixels, got ", size());
  }
  if (num_pixels > kMaxDecodedPixels && header.format != ImageFormat::kJpeg) {
    throw too_large_image("more than ", kMaxDecodedPixels,
                          " pixels, and only a JPEG can be decoded at a reduced scale, ", "got a ",
                          name_of(header.format), " of ", size());
  }
  if (header.coefficient_bytes > limits.max_decode_bytes) {
    throw too_large_image("a JPEG of several scans whose coefficients take ", header.coefficient_bytes,
                          " bytes, more than ", limits.max_decode_bytes, " (max_decode_mib), got ", size());
  }
}

}  // namespace

PngChunks::PngChunks(std::string_view bytes) : rest_(bytes.substr(kPngMagic.size())) {}

bool PngChunks::next() {
  if (type_ == "IEND") return false;
  if (rest_.size() < 12) throw bad_image("PNG is truncated");
  const size_t length = be32(rest_, 0);
  if (length > rest_.size() - 12) throw bad_image("PNG is truncated");
  type_ = rest_.substr(4, 4);
  whole_ = rest_.substr(0, length + 12);
  data_ = rest_.substr(8, length);
  rest_.remove_prefix(length + 12);
  return true;
}

ImageHeader read_png_header(std::string_view bytes) {
  const size_t ihdr = kPngMagic.size();
  if (bytes.size() < ihdr + 25) throw bad_image("PNG header is cut off");
  if (be32(bytes, ihdr) != 13 || bytes.substr(ihdr + 4, 4) != "IHDR") throw bad_image("PNG does not start with IHDR");
  const uint32_t width = be32(bytes, ihdr + 8);
  const uint32_t height = be32(bytes, ihdr + 12);
  if (width > kMaxPngSide || height > kMaxPngSide) throw bad_image("PNG side is out of range");

  ImageHeader header{ImageFormat::kPng, static_cast<int>(width), static_cast<int>(height), 1};
  for (PngChunks chunks(bytes); chunks.next();) {
    if (chunks.type() == "eXIf") header.orientation = exif_orientation(chunks.data());
  }
  return header;
}

ImageHeader read_image_header(std::string_view bytes, const ImageLimits& limits) {
  if (bytes.empty()) throw bad_image("no bytes were given");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    throw too_large_image("more than ", limits.max_bytes, " bytes (max_image_bytes), got ", bytes.size());
  }
  ImageHeader header = read_stored_header(bytes);
  if (header.width <= 0 || header.height <= 0) {
    throw bad_image("it is empty, ", header.width, "x", header.height, " pixels");
  }
  check_size(header, limits);
  if (header.orientation >= 5) std::swap(header.width, header.height);
  return header;
}

}  // namespace sf
