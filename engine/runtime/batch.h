// The tokens of one step, flat over sequences, and where attention finds their keys.
//
//   Batch batch = make_batch(parts, cache, device);
//   PagedAttention attention(batch, cache);
#pragma once

#include <vector>

#include <torch/torch.h>

#include "engine/model/attention.h"
#include "engine/runtime/kv_cache.h"
#include "engine/runtime/sequence.h"

namespace sf {

// One sequence's share of a step: tokens [begin, begin + count) of its ids.
struct BatchPart {
  Sequence* sequence = nullptr;
  int begin = 0;
  int count = 0;
};

// Sequences whose queries are padded to one length: decoding ones together, prompts together.
struct AttentionGroup {
  at::Tensor query_token;    // [S*Q] int64: flat token of each query, padding repeats the last
  at::Tensor context_slots;  // [S*L] int64: the block table as slots, one for each key; padding repeats the last
  at::Tensor mask_S1QL;      // f32, 0 or -inf
  int64_t num_sequences = 0, query_length = 0, key_length = 0;
};

struct Batch {
  std::vector<BatchPart> parts;
  at::Tensor ids_T, positions_T;  // int64
  std::vector<int64_t> modality;  // kImageModality or kTextModality, per token
  at::Tensor slot_mapping_T;      // [T] int64: cache slot that each token's key and value go to
  std::vector<AttentionGroup> groups;
  at::Tensor output_of_token;  // int64 [T]: row of the concatenated groups' outputs
  at::Tensor last_token;       // int64: flat index of the last token of every part that samples
  std::vector<size_t> sampling_parts;
};

// REQUIRES: every part's pages cover begin + count tokens.
Batch make_batch(const std::vector<BatchPart>& parts, const KvCache& cache, at::Device device);

// int64 [T, 3]: (time, row, column) of every token, for M-RoPE.
at::Tensor mrope_positions(const Batch& batch);

class PagedAttention : public AttentionBackend {
 public:
  PagedAttention(const Batch& batch, const KvCache& cache) : batch_(batch), cache_(cache) {}
  at::Tensor attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC, const at::Tensor& v_TGC) override;

 private:
  const Batch& batch_;
  const KvCache& cache_;
};

}  // namespace sf
