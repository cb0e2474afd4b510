// RGB pixels -> bytes of a JPEG or WebP file: clients send them, no program of ours writes them.
#pragma once

#include <string>

#include "engine/image/image.h"

namespace sf::test {

std::string encode_jpeg(const Image& image, int quality);  // 1..100, 4:2:0
std::string encode_webp(const Image& image, int quality);  // 1..100; 100 = lossless

}  // namespace sf::test
