#include "engine/runtime/routing_replay.h"

#include <algorithm>

#include "engine/kernels/reference/reference.h"

namespace sf {

at::Tensor forced_experts(const Batch& batch, const DecoderConfig& config, at::Device device) {
  const auto replays = [](const BatchPart& part) { return part.sequence->sampling.replay_routing != nullptr; };
  if (std::none_of(batch.parts.begin(), batch.parts.end(), replays)) return {};
  const int64_t layers = config.num_layers, k = config.moe.top_k, tokens = static_cast<int64_t>(batch.modality.size());
  const std::vector<int> routed = routed_layers(config);  // the record's
  at::Tensor forced = at::full({layers, tokens, k}, -1, at::kLong);
  int64_t* ids = forced.data_ptr<int64_t>();
  int64_t first = 0;
  for (const BatchPart& part : batch.parts) {
    const RoutingRecord* record = part.sequence->sampling.replay_routing.get();
    const int end = record ? std::min(part.begin + part.count, record->num_tokens()) : part.begin;
    for (int i = part.begin; i < end; ++i) {
      for (size_t l = 0; l < routed.size(); ++l) {
        const uint16_t* row = record->ids.data() + (i * routed.size() + l) * k;
        std::copy(row, row + k, ids + (routed[l] * tokens + first + i - part.begin) * k);
      }
    }
    first += part.count;
  }
  return forced.to(device);
}

void force_experts(const at::Tensor& forced_TK, const MoeConfig& config, Routing& routing) {
  routing.ids_TK = at::where(forced_TK.ge(0), forced_TK, routing.ids_TK);
  routing.gates_TK = reference::gates_of(routing.logits_TE, routing.ids_TK, gate_rule(config));
}

void RoutingReplay::on_routing(int layer, Routing& routing) { force_experts(forced_LTK_[layer], config_, routing); }

}  // namespace sf
