// Files of images: what the exporter writes and what users' rows name.
//
//   write_file("scene.png", encode_png(image));
//
// Thread-safe. Errors: Unavailable if a file cannot be read or written, naming it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "engine/image/image.h"

namespace sf::data {

using sf::encode_png;

void write_file(const std::filesystem::path& path, std::string_view bytes);
// `max_bytes`: larger files are refused with ResourceExhausted.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

}  // namespace sf::data
