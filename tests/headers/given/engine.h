#pragma once

#include "engine/engine.h"

namespace sf::examples_engine {

extern Engine& engine;
extern const std::vector<Message> messages;
extern const SamplingParams sampling;

}  // namespace sf::examples_engine
