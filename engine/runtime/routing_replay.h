// Forces the experts of tokens whose routing was recorded before (R3, arXiv 2510.11370): the ids are the record's, the
// gates are computed again from the model's own logits, so that only the choice is replayed.
//
//   RoutingReplay replay(batch, config, device);
//   if (replay.any()) input.routing_hook = &replay;      // for the forward pass
//
// One thread only.
#pragma once

#include "engine/model/moe_layer.h"
#include "engine/runtime/batch.h"

namespace sf {

// [layers, T, K] int64: the experts to take, -1 where the router chooses and in dense layers. Undefined if nothing in
// the batch is replayed.
at::Tensor forced_experts(const Batch& batch, const DecoderConfig& config, at::Device device);

class RoutingReplay : public RoutingHook {
 public:
  RoutingReplay(const Batch& batch, const DecoderConfig& config, at::Device device)
      : config_(config.moe), forced_LTK_(forced_experts(batch, config, device)) {}
  bool any() const { return forced_LTK_.defined(); }
  void on_routing(int layer, Routing& routing) override;

 private:
  MoeConfig config_;
  at::Tensor forced_LTK_;
};

// Effect: puts the forced experts (one layer's [T, K]) and their gates into `routing`.
void force_experts(const at::Tensor& forced_TK, const MoeConfig& config, Routing& routing);

}  // namespace sf
