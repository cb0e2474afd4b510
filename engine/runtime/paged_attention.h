// Attention of one step over the paged cache, by the device's kernel.
//
//   PagedAttention attention(batch.attention, cache, ops_for(device), device);
//   at::Tensor hidden_TD = vlm.decoder().forward(input, attention);
//
// One thread only.
#pragma once

#include <memory>

#include "engine/kernels/ops.h"
#include "engine/model/attention.h"
#include "engine/runtime/kv_cache.h"

namespace sf {

class PagedAttention : public AttentionBackend {
 public:
  // Effect: plans the step. REQUIRES: the cache outlives it, and is on `device`.
  PagedAttention(const AttentionMetadata& metadata, const KvCache& cache, const Ops& ops, at::Device device)
      : plan_(ops.plan_attention(metadata, device)), cache_(cache) {}
  at::Tensor attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) override {
    return plan_->run({q_THC, k_TGC, v_TGC, cache_.keys(layer), cache_.values(layer)});
  }

 private:
  std::unique_ptr<AttentionPlan> plan_;
  const KvCache& cache_;
};

}  // namespace sf
