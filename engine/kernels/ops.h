// The operations that a processor may do in its own way: one table of functions for each device, chosen when a model is
// loaded and handed to every forward pass (DecoderInput::ops). The model never asks which device it is on.
//
//   const Ops& ops = ops_for(device);
//   auto attention = ops.plan_attention(metadata, device);             // once a step
//   at::Tensor out_THC = attention->run({q_THC, k_TGC, v_TGC, keys_NGC, values_NGC});  // once a layer
//   at::Tensor y_RD = ops.moe_ffn(weights, rows_RD, ends_E);
//
// A new backend is a folder beside reference/ (cpu/ for vector instructions, cuda/) that fills a table of its own and a
// line in ops_for(). reference/ is LibTorch's operators: it trains, explains, runs on any device, and is what every
// other table is tested against. Tables are immutable; their functions are thread-safe, a plan is for one thread only.
#pragma once

#include <memory>

#include <torch/torch.h>

namespace sf {

// Which cached keys the tokens of one step attend to: S sequences with T new tokens between them, in the order of the
// step's tokens, over a cache of pages. On the host: a plan takes what it needs to its device.
struct AttentionMetadata {
  at::Tensor block_table_SB;    // int32: the pages of each sequence in order; beyond its last one anything
  at::Tensor context_lens_S;    // int32: keys of each sequence, those of this step included
  at::Tensor cu_query_lens_S1;  // int32 [S+1]: sequence s has the tokens [cu[s], cu[s+1]), its last ones
  at::Tensor slot_mapping_T;    // int64: where each token's key and value go, page * page_size + offset
  int page_size = 16;           // tokens
  int64_t max_query_len = 0;    // of a sequence in this step
  int64_t max_context_len = 0;
};

// H query heads, G key heads (G divides H), C channels; N = pages * page_size slots.
struct PagedAttentionInput {
  const at::Tensor &q_THC, &k_TGC, &v_TGC;  // of the step's tokens, rotated
  const at::Tensor &keys_NGC, &values_NGC;  // one layer of the cache, of any floating type
};

// What one step's metadata becomes: made once, run for every layer. One thread only.
class AttentionPlan {
 public:
  virtual ~AttentionPlan() = default;
  // Effect: writes k and v into the cache's slots, rounded to its type. -> attended values [T, H, C], causal, scores
  // q k / sqrt(C). Keys and values are read as they stand in the cache, those of this step too.
  virtual at::Tensor run(const PagedAttentionInput& input) const = 0;
};

enum class FfnActivation {
  kSwiglu,  // w2(silu(w1 x) * w3 x)
  kGelu,    // w2 gelu(w1 x), exact
  kRelu,    // w2 relu(w1 x)
};

// E feed-forward networks of hidden size F. Views of the model's parameters.
struct FfnWeights {
  at::Tensor up_EUD, up_bias_EU;  // U = 2F for swiglu, w1 over w3; else F. The bias may be undefined
  at::Tensor down_EDF, down_bias_ED;
  FfnActivation activation = FfnActivation::kSwiglu;
  double hidden_dropout = 0;  // in training, of the hidden layer's channels; only the reference drops
};

// From a token's scores to its experts.
struct GateRule {
  int top_k = 2;
  bool softmax_after = true;  // over the scores of the top k; else over all scores
  bool renormalise = false;   // softmax before: divided by their sum
};
struct Gates {
  at::Tensor ids_TK;    // int64, by descending score; of equal scores the smaller id
  at::Tensor gates_TK;  // f32
};

struct Ops {
  const char* name = "";
  std::unique_ptr<AttentionPlan> (*plan_attention)(const AttentionMetadata& metadata, at::Device device) = nullptr;
  // x_RD sorted by expert, ends_E (int64, on x's device) the row after the last of each -> [R, D].
  at::Tensor (*moe_ffn)(const FfnWeights& weights, const at::Tensor& x_RD, const at::Tensor& ends_E) = nullptr;
  // Every row through network 0: a dense layer, a shared expert.
  at::Tensor (*dense_ffn)(const FfnWeights& weights, const at::Tensor& x_TD) = nullptr;
  // scores_TE f32. bias_E, where defined, is added to their softmax to choose, and to nothing else.
  Gates (*topk_gates)(const at::Tensor& scores_TE, const at::Tensor& bias_E, const GateRule& rule) = nullptr;
};

// The fastest table of this build for a device.
const Ops& ops_for(at::Device device);
// LibTorch's operators.
const Ops& reference_ops(at::Device device);
// The kernels of cuda/; null in a build without them (no_cuda.cc).
const Ops* cuda_ops();

}  // namespace sf
