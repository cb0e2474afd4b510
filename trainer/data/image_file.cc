#include "trainer/data/image_file.h"

#include <turbojpeg.h>
#include <webp/encode.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include "engine/base/machine_fault.h"

namespace sf::data {

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

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw_errno("cannot write file " + path.string(), errno != 0 ? errno : EIO, path.string());
}

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  std::error_code failed;
  const bool regular = std::filesystem::is_regular_file(path, failed);
  const auto size = regular ? std::filesystem::file_size(path, failed) : 0;
  if (is_machine_errno(failed.value())) throw_errno("cannot read file " + path.string(), failed.value(), path.string());
  if (!regular || failed) throw Error(Code::kUnavailable, "cannot read file " + path.string(), path.string());
  if (static_cast<int64_t>(size) > max_bytes) {
    throw Error(Code::kResourceExhausted, concat("file has more than ", max_bytes, " bytes: ", path.string()),
                path.string(), Reason::kTooLarge);
  }
  std::string bytes(size, '\0');
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in) throw_errno("cannot read file " + path.string(), errno != 0 ? errno : EIO, path.string());
  return bytes;
}

}  // namespace sf::data
