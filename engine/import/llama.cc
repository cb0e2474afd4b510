// Llama and Mistral: models/llama/modeling_llama.py and models/mistral/modeling_mistral.py of transformers.
#include "engine/import/hf_family.h"

namespace sf {
namespace {

// A dense feed-forward is the one expert that a router without choice takes.
void plan_dense(HfPlanner& p, const HfText& t, const std::string& ours, const std::string& theirs) {
  const int64_t width = t.hidden_size, hidden = t.intermediate_size;
  const std::string mlp = theirs + "mlp.";
  p.add(ours + "router.weight", {1, width}, {{"", {1, width}}});
  p.add(ours + "experts.gate_up", {1, 2 * hidden, width},
        {{mlp + "gate_proj.weight", {hidden, width}}, {mlp + "up_proj.weight", {hidden, width}}});
  p.add(ours + "experts.down", {1, width, hidden}, {{mlp + "down_proj.weight", {width, hidden}}});
}

}  // namespace

const HfTextFamily kLlamaFamily = {.model_type = "llama",
                                   .intermediate_size = 11008,
                                   .max_context = 2048,
                                   .norm_eps = 1e-6,
                                   .rope_theta = 10000.0,
                                   .plan_feed_forward = plan_dense};

// Where sliding_window is there and null there is no window; the class has one by default.
const HfTextFamily kMistralFamily = {.model_type = "mistral",
                                     .intermediate_size = 14336,
                                     .max_context = 131072,
                                     .num_kv_heads = 8,
                                     .norm_eps = 1e-6,
                                     .rope_theta = 10000.0,
                                     .has_window = true,
                                     .default_window = 4096,
                                     .plan_feed_forward = plan_dense};

}  // namespace sf
