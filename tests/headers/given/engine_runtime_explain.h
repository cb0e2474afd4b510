#pragma once

#include "engine/runtime/explain/explain_pass.h"

namespace sf::examples_engine_runtime_explain {

extern const ExplainedModel model;
extern const EnginePrompt prompt;
extern const SamplingParams sampling;
extern const ExplainSequence sequence;
extern const ImageSpan span;
extern const at::Tensor rows_RN;
extern const std::vector<at::Tensor> steps_NN;
extern const std::vector<int> ids;

}  // namespace sf::examples_engine_runtime_explain
