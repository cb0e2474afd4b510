// RGB pixels -> encoded bytes, and small file helpers: what the exporter, the golden check's golden images and
// examples/ need.
//
//   write_file("scene.png", encode_png(image));
//
// Thread-safe. Errors: Internal if a codec fails; Unavailable if a file cannot be read or written, naming it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "engine/image/image.h"

namespace sf::data {

using sf::encode_png;
std::string encode_jpeg(const Image& image, int quality);  // 1..100, 4:2:0
std::string encode_webp(const Image& image, int quality);  // 1..100; 100 = lossless

void write_file(const std::filesystem::path& path, std::string_view bytes);
// `max_bytes`: larger files are refused with ResourceExhausted.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

}  // namespace sf::data
