#include "tests/support/encode_image.h"

#include <memory>

#include <turbojpeg.h>
#include <webp/encode.h>

#include "engine/base/error.h"

namespace sf::test {

std::string encode_jpeg(const Image& image, int quality) {
  const std::unique_ptr<void, int (*)(tjhandle)> encoder(tjInitCompress(), tjDestroy);
  SF_CHECK(encoder, "jpeg: no encoder");
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int result = tjCompress2(encoder.get(), image.pixels.data(), image.width, 0, image.height, TJPF_RGB, &bytes,
                                 &size, TJSAMP_420, quality, 0);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(bytes, tjFree);
  SF_CHECK(result == 0, "jpeg: encoding failed: ", tjGetErrorStr2(encoder.get()));
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

std::string encode_webp(const Image& image, int quality) {
  uint8_t* bytes = nullptr;
  const int stride = image.width * 3;
  const size_t size =
      quality >= 100
          ? WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, stride, &bytes)
          : WebPEncodeRGB(image.pixels.data(), image.width, image.height, stride, static_cast<float>(quality), &bytes);
  const std::unique_ptr<uint8_t, void (*)(void*)> owner(bytes, WebPFree);
  SF_CHECK(size > 0, "webp: encoding failed");
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace sf::test
