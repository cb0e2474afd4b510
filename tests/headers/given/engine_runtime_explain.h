#pragma once

#include "engine/runtime/explain/explain_pass.h"

namespace sf::examples_engine_runtime_explain {

extern const ExplainedModel model;
extern const EnginePrompt prompt;
extern const std::vector<int> ids;

}  // namespace sf::examples_engine_runtime_explain
