#include <webp/decode.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/input/byte_order.h"
#include "engine/input/exif.h"
#include "engine/input/image.h"
#include "engine/input/image_codecs.h"

namespace sf {
namespace {

constexpr uint32_t kMaxPngSide = 0x7fffffff;

ImageFormat sniff(std::string_view bytes) {
  if (bytes.starts_with(kPngMagic)) return ImageFormat::kPng;
  if (bytes.starts_with(kJpegMagic)) return ImageFormat::kJpeg;
  if (bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP") return ImageFormat::kWebp;
  throw Error(Code::kInvalidArgument, "image: not a PNG, JPEG or WebP picture", "image", Reason::kUnsupportedType);
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

// Markers that stand alone, without a length: TEM, RST0..7, SOI.
bool is_standalone(uint32_t marker) { return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8); }

// SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
bool is_frame_header(uint32_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// Baseline, extended, progressive, and the arithmetic-coded pair: what libjpeg-turbo decodes.
bool is_decodable_frame(uint32_t marker) {
  return marker == 0xc0 || marker == 0xc1 || marker == 0xc2 || marker == 0xc9 || marker == 0xca;
}

void read_frame_header(uint32_t marker, std::string_view data, JpegFrame& frame) {
  if (!is_decodable_frame(marker)) throw bad_image("JPEG coding process is not supported, SOF", marker - 0xc0);
  if (data.size() < 6) throw bad_image("JPEG frame header is cut off");
  if (byte_at(data, 0) != 8) throw bad_image("JPEG sample precision must be 8 bits, got ", byte_at(data, 0));
  frame.height = static_cast<int>(be16(data, 1));
  frame.width = static_cast<int>(be16(data, 3));
  frame.num_components = static_cast<int>(byte_at(data, 5));
}

}  // namespace

std::vector<PngChunk> split_png(std::string_view bytes) {
  std::vector<PngChunk> chunks;
  size_t at = kPngMagic.size();
  while (true) {
    if (bytes.size() - at < 12) throw bad_image("PNG is truncated");
    const size_t length = be32(bytes, at);
    if (length > bytes.size() - at - 12) throw bad_image("PNG is truncated");
    chunks.push_back({bytes.substr(at + 4, 4), bytes.substr(at, length + 12), bytes.substr(at + 8, length)});
    if (chunks.back().type == "IEND") return chunks;
    at += length + 12;
  }
}

ImageHeader read_png_header(std::string_view bytes) {
  const size_t ihdr = kPngMagic.size();
  if (bytes.size() < ihdr + 25) throw bad_image("PNG header is cut off");
  if (be32(bytes, ihdr) != 13 || bytes.substr(ihdr + 4, 4) != "IHDR") throw bad_image("PNG does not start with IHDR");
  const uint32_t width = be32(bytes, ihdr + 8);
  const uint32_t height = be32(bytes, ihdr + 12);
  if (width > kMaxPngSide || height > kMaxPngSide) throw bad_image("PNG side is out of range");

  ImageHeader header{ImageFormat::kPng, static_cast<int>(width), static_cast<int>(height), 1};
  for (const PngChunk& chunk : split_png(bytes)) {
    if (chunk.type == "eXIf") header.orientation = exif_orientation(chunk.data);
  }
  return header;
}

JpegFrame read_jpeg_frame(std::string_view bytes, bool to_first_scan) {
  JpegFrame frame;
  size_t at = 2;
  while (true) {
    if (at >= bytes.size() || byte_at(bytes, at) != 0xff) throw bad_image("JPEG segment is cut off or out of place");
    while (at < bytes.size() && byte_at(bytes, at) == 0xff) ++at;  // any number of fill bytes
    if (at >= bytes.size()) throw bad_image("JPEG is truncated");
    const uint32_t marker = byte_at(bytes, at++);
    if (is_standalone(marker)) continue;
    if (marker == 0x00 || marker == 0xd9) throw bad_image("JPEG has no picture");
    if (bytes.size() - at < 2) throw bad_image("JPEG is truncated");
    const size_t length = be16(bytes, at);
    if (length < 2 || length > bytes.size() - at) throw bad_image("JPEG segment is cut off");
    const std::string_view data = bytes.substr(at + 2, length - 2);
    at += length;

    if (marker == 0xda) {
      if (frame.num_components == 0) throw bad_image("JPEG scan comes before its frame header");
      frame.entropy_offset = at;
      return frame;
    }
    if (marker == 0xe1 && data.starts_with("Exif")) frame.orientation = exif_orientation(data);
    if (marker == 0xee && data.starts_with("Adobe")) frame.adobe_marker = true;
    if (is_frame_header(marker)) {
      if (frame.num_components != 0) throw bad_image("JPEG has two frame headers");
      read_frame_header(marker, data, frame);
      if (!to_first_scan) return frame;
    }
  }
}

ImageHeader read_jpeg_header(std::string_view bytes) {
  const JpegFrame frame = read_jpeg_frame(bytes, /*to_first_scan=*/false);
  return {ImageFormat::kJpeg, frame.width, frame.height, frame.orientation};
}

ImageHeader read_webp_header(std::string_view bytes) {
  const size_t riff_size = le32(bytes, 4);
  if (riff_size > bytes.size() - 8) throw bad_image("WebP is truncated");
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &features) != VP8_STATUS_OK) {
    throw bad_image("WebP header is broken");
  }
  if (features.has_animation != 0) {
    throw Error(Code::kInvalidArgument, "image: animated WebP is not supported", "image", Reason::kUnsupportedType);
  }
  ImageHeader header{ImageFormat::kWebp, features.width, features.height, 1};
  const std::string_view riff = bytes.substr(0, riff_size + 8);
  for (size_t at = 12; riff.size() - at >= 8;) {
    const size_t length = le32(riff, at + 4);
    if (length > riff.size() - at - 8) break;
    if (riff.substr(at, 4) == "EXIF") header.orientation = exif_orientation(riff.substr(at + 8, length));
    at = std::min(riff.size(), at + 8 + length + (length & 1));
  }
  return header;
}

ImageHeader read_image_header(std::string_view bytes, const ImageLimits& limits) {
  if (bytes.empty()) throw bad_image("no bytes were given");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    throw Error(Code::kResourceExhausted, concat("image: more than ", limits.max_bytes, " bytes, got ", bytes.size()),
                "image", Reason::kTooLarge);
  }
  ImageHeader header = read_stored_header(bytes);
  if (header.width <= 0 || header.height <= 0) {
    throw bad_image("picture is empty, ", header.width, "x", header.height, " pixels");
  }
  if (int64_t{header.width} * header.height > limits.max_pixels) {
    throw Error(Code::kResourceExhausted,
                concat("image: more than ", limits.max_pixels, " pixels, got ", header.width, "x", header.height),
                "image", Reason::kTooLarge);
  }
  if (header.orientation >= 5) std::swap(header.width, header.height);
  return header;
}

}  // namespace sf
