// Any bytes as an image: refused with an error of field "image", or decoded to exactly the size that the header gave.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/error.h"
#include "engine/image/image.h"
#include "engine/image/preprocess.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const sf::ImageLimits limits{.max_bytes = 1 << 20, .max_pixels = 1 << 18};
  try {
    const sf::ImageHeader header = sf::read_image_header(bytes, limits);
    if (int64_t{header.width} * header.height > limits.max_pixels) std::abort();
    const sf::Image image = sf::decode_image(bytes, limits);
    if (image.width != header.width || image.height != header.height) std::abort();
    if (image.pixels.size() != static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3) std::abort();
    const sf::PixelValues pixels = sf::preprocess(image, {.cell_size = 8});
    if (pixels.values.size() != static_cast<size_t>(pixels.grid.rows * pixels.grid.columns) * 8 * 8 * 3) std::abort();
  } catch (const sf::Error& error) {
    if (error.field() != "image") std::abort();
  }
  return 0;
}
