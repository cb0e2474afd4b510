#pragma once

#include "engine/model/vlm.h"

namespace sf::examples_engine_model {

extern Vlm& vlm;
extern Vit& vit;
extern Experts& experts;
extern const ModelConfig config;
extern const MoeConfig moe;
extern const std::vector<ImageBox> boxes;
extern const Routing routing;
extern const int layer;
extern const int64_t num_experts, num_tokens, capacity, inputs, outputs;
extern const double factor;
extern const at::Tensor pixels, positions, ids_T, x_TD;
extern at::Tensor q_THC, weight_;
extern const std::string json_text, name;
at::Tensor register_parameter(const char* name, at::Tensor tensor);

}  // namespace sf::examples_engine_model
