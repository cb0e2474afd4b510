#pragma once

#include "engine/base/file.h"
#include "engine/engine.h"

namespace sf::examples_engine_explain {

extern const Engine& engine;
extern const PreparedPromptPtr prompt;
extern const SamplingParams sampling;
extern const Explanation e, explanation;
extern const int row, column;

}  // namespace sf::examples_engine_explain
