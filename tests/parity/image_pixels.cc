// Decodes images as the server does, for tests/parity/compare_images.py: each path on standard input gives one line,
// "ok WIDTH HEIGHT" followed by the RGB bytes in OUT/<line number>.rgb, or "refused CODE MESSAGE".
//
//   ls *.png | image_pixels OUT
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "engine/base/error.h"
#include "engine/image/image.h"

namespace {

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void decode(const std::string& path, const std::filesystem::path& out) {
  const sf::Image image = sf::decode_image(read_all(path), {.max_bytes = int64_t{1} << 32});
  std::ofstream(out, std::ios::binary)
      .write(reinterpret_cast<const char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  std::cout << "ok " << image.width << " " << image.height << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: image_pixels OUT < paths\n";
    return 2;
  }
  std::string path;
  for (int line = 0; std::getline(std::cin, path); ++line) {
    try {
      decode(path, std::filesystem::path(argv[1]) / (std::to_string(line) + ".rgb"));
    } catch (const sf::Error& error) {
      const bool unsupported = error.reason() == sf::Reason::kUnsupportedType;
      const bool too_large = error.reason() == sf::Reason::kTooLarge;
      std::cout << "refused " << (unsupported ? 415 : too_large ? 413 : 400) << " " << error.what() << "\n";
    } catch (const std::exception& error) {
      std::cout << "refused 500 " << error.what() << "\n";
    }
  }
  return 0;
}
