#pragma once

#include "engine/kernels/ops.h"

namespace sf::examples_engine_kernels {

extern const at::Device device;
extern const AttentionMetadata metadata;
extern const FfnWeights weights;
extern const at::Tensor q_THC, k_TGC, v_TGC, keys_NGC, values_NGC, rows_RD, ends_E;

}  // namespace sf::examples_engine_kernels
