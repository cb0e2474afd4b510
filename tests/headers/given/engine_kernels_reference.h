#pragma once

#include "engine/kernels/ops.h"

namespace sf::reference::examples_engine_kernels_reference {

extern const FfnWeights weights;
extern const GateRule rule;
extern const at::Tensor x_RD, ends_E, scores_TE, ids_TK;

}  // namespace sf::reference::examples_engine_kernels_reference
