// Any bytes as an image, decoded: refused with an error of field "image", or every pixel of the header's size is there;
// a JPEG at every reduced scale too. The number of bytes chooses the scale, and whether the client leaves meanwhile.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/image/image.h"
#include "engine/image/image_codecs.h"

namespace {

constexpr sf::ImageLimits kLimits{.max_bytes = 1 << 20, .max_pixels = 1 << 18, .max_decode_bytes = 1 << 20};

void check_pixels(const sf::Image& image, int width, int height) {
  if (image.width != width || image.height != height) std::abort();
  if (image.pixels.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) std::abort();
}

void decode(std::string_view bytes) {
  int left = bytes.size() % 16 == 15 ? 3 : -1;
  const auto check = [&left] {
    if (--left == 0) throw sf::Error(sf::Code::kCancelled, "the client left", "image");
  };
  sf::ImageHeader header = sf::read_image_header(bytes, kLimits);
  if (int64_t{header.width} * header.height > kLimits.max_pixels) std::abort();
  if (header.coefficient_bytes > kLimits.max_decode_bytes) std::abort();
  check_pixels(sf::decode_image(bytes, kLimits, {.needed_size = {}, .check = check}), header.width, header.height);

  if (header.format != sf::ImageFormat::kJpeg) return;
  const sf::ImageHeader stored = sf::read_jpeg_header(bytes);
  const int scale = 2 << bytes.size() % 3;
  check_pixels(sf::decode_jpeg(bytes, stored, scale, check), (stored.width + scale - 1) / scale,
               (stored.height + scale - 1) / scale);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    decode({reinterpret_cast<const char*>(data), size});
  } catch (const sf::Error& error) {
    if (error.field() != "image") std::abort();
  }
  return 0;
}
