#pragma once

#include "engine/image/image.h"

namespace sf::data::examples_trainer_data {

extern const uint64_t seed, batch_index;
extern const Image image;

}  // namespace sf::data::examples_trainer_data
