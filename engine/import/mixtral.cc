// Mixtral: models/mixtral/modeling_mixtral.py of transformers, with the hub's names and those of transformers 5.
#include "engine/base/error.h"
#include "engine/import/hf_family.h"

namespace sf {
namespace {

void plan_experts(HfPlanner& p, const HfText& t, const std::string& ours, const std::string& theirs) {
  const int64_t width = t.hidden_size, hidden = t.intermediate_size, experts = t.num_experts;
  if (p.has(theirs + "mlp.experts.gate_up_proj")) {  // transformers 5: stacked, rows are outputs
    p.copy(ours + "router.weight", theirs + "mlp.gate.weight", {experts, width});
    p.copy(ours + "experts.gate_up", theirs + "mlp.experts.gate_up_proj", {experts, 2 * hidden, width});
    p.copy(ours + "experts.down", theirs + "mlp.experts.down_proj", {experts, width, hidden});
    return;
  }
  const std::string moe = theirs + "block_sparse_moe.";
  p.copy(ours + "router.weight", moe + "gate.weight", {experts, width});
  p.require_tensors_for("num_local_experts of all layers", t.num_layers * experts);
  std::vector<ImportPiece> gate_up, down;
  for (int64_t e = 0; e < experts; ++e) {
    const std::string expert = concat(moe, "experts.", e, ".");
    gate_up.push_back({expert + "w1.weight", {hidden, width}});
    gate_up.push_back({expert + "w3.weight", {hidden, width}});
    down.push_back({expert + "w2.weight", {width, hidden}});
  }
  p.add(ours + "experts.gate_up", {experts, 2 * hidden, width}, std::move(gate_up));
  p.add(ours + "experts.down", {experts, width, hidden}, std::move(down));
}

}  // namespace

const HfTextFamily kMixtralFamily = {.model_type = "mixtral",
                                     .intermediate_size = 14336,
                                     .max_context = 131072,
                                     .num_kv_heads = 8,
                                     .norm_eps = 1e-5,
                                     .rope_theta = 1e6,
                                     .has_window = true,
                                     .routed = true,
                                     .plan_feed_forward = plan_experts};

}  // namespace sf
