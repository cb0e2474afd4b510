#pragma once

#include "engine/model/token_dispatcher.h"
#include "engine/model/vlm.h"
#include "engine/runtime/weights.h"

namespace sf::examples_engine_model {

extern Vlm& vlm;
extern Vit& vit;
extern Experts& experts;
extern const TokenDispatcher& dispatcher;
extern AttentionBackend &attention, &backend;
extern MoeObserver& observer;
extern const Ops& ops;
extern const RopeTable rope;
extern const DecoderInput input;
extern const ModelConfig config;
extern const MoeConfig moe;
extern const std::vector<ImageBox> boxes;
extern const Routing routing;
extern const int layer;
extern const int64_t num_experts, num_tokens, capacity, rows, columns, inputs, outputs;
extern const double factor;
extern const at::Tensor pixels, positions, positions_T, ids_BL, ids_T, x_TD, x_RD, x_BNW, mask_BLL, kept_TK, ends_E,
    counts_E;
extern at::Tensor q_THC, weight_;
extern const std::string json_text, name;
at::Tensor register_parameter(const char* name, at::Tensor tensor);

}  // namespace sf::examples_engine_model
