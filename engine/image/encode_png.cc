#include <png.h>

#include <cstring>

#include "engine/base/error.h"
#include "engine/image/image.h"

namespace sf {

std::string encode_png(const Image& image) {
  png_image header;
  std::memset(&header, 0, sizeof header);
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::string bytes(size, '\0');
  const int written = png_image_write_to_memory(&header, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr);
  SF_CHECK(written != 0, "png: encoding failed: ", header.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace sf
