// Expert capacity while serving, as trained with drops but causal and per request: tokens of a window of
// kCapacityWindow take places in position order, at most C of an expert; a token above it loses that expert (its gate
// is not given to the others). What is dropped depends on the request's earlier tokens alone: never on batch mates,
// chunks or preemption.
//
//   StrictCapacity capacity(batch, decoder, factor, device);
//   input.capacity = &capacity;
//
// One thread only; one object a step.
#pragma once

#include "engine/model/capacity.h"
#include "engine/runtime/batch.h"

namespace sf {

// ExpertStats counts the same windows and carries them from step to step (Sequence::window), so a drop is an overflow
// of scope `request` and the other way round.
class StrictCapacity : public CapacityPolicy {
 public:
  // Reads the counters that the sequences carry; the step's tokens come on top.
  StrictCapacity(const Batch& batch, const DecoderConfig& config, double capacity_factor, at::Device device);
  at::Tensor kept(int layer, const Routing& routing) override;

 private:
  int64_t num_experts_, capacity_;
  at::Tensor window_first_T_;  // int64: flat index of the first token of the step that shares the token's window
  at::Tensor carry_T_;         // int64: the token's row of carried_
  at::Tensor carried_;         // int64 [parts + 1, layers, experts]: counts from before the step; the last row is zero
};

}  // namespace sf
