#pragma once

#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/safetensors.h"

namespace sf::examples_engine_checkpoint {

extern const TensorView tensor;
extern const Manifest manifest;
extern const int64_t version;
extern const std::string digest_of_the_version_before;
std::string_view elements_of(const std::string& name);

}  // namespace sf::examples_engine_checkpoint
