#pragma once

#include "engine/image/preprocess.h"

namespace sf::examples_engine_image {

extern const ImageLimits limits;
extern const int64_t max_memory;
extern const PreprocessOptions options;
extern const Image image;
extern const int width, height;

}  // namespace sf::examples_engine_image
