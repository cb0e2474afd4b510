// Which tokens keep their place at an expert that is given more than its capacity.
//
//   BatchCapacity capacity(moe, num_tokens, factor);    // a CapacityPolicy for one step of training
//   at::Tensor kept_TK = capacity.kept(layer, routing);
//
// kept_within() and expert_capacity() are pure functions; a CapacityPolicy: one thread only.
#pragma once

#include <torch/torch.h>

#include "engine/model/router.h"

namespace sf {

// C = max(4, ceil(top_k * tokens / num_experts * factor)); 0 = no limit.
int64_t expert_capacity(int64_t tokens, int64_t num_experts, int64_t top_k, double factor);

// -> bool [T, K]: the first `capacity` slots of each expert, in that order. Ties go to the earlier token.
at::Tensor kept_within(const Routing& routing, int64_t num_experts, int64_t capacity,
                       DropOrder order = DropOrder::kPosition);

// What a MoeLayer asks. One thread only.
class CapacityPolicy {
 public:
  virtual ~CapacityPolicy() = default;
  // -> bool [T, K] of the tokens given to the layer; undefined = all are kept.
  virtual at::Tensor kept(int layer, const Routing& routing) = 0;
};

// One capacity for all tokens of a batch: training. Never used in serving, where requests would push each
// other's tokens out.
class BatchCapacity : public CapacityPolicy {
 public:
  // `num_tokens`: real ones; padding takes no capacity.
  BatchCapacity(const MoeConfig& config, int64_t num_tokens, double factor);
  at::Tensor kept(int layer, const Routing& routing) override;

 private:
  int64_t num_experts_, capacity_;
  DropOrder order_;
};

}  // namespace sf
