// The tokens of one step, flat over sequences, and where attention finds their keys.
//
//   Batch batch = make_batch(parts, cache, device);
//   PagedAttention attention(batch.attention, cache, ops_for(device), device);
//
// One thread only.
#pragma once

#include <vector>

#include <torch/torch.h>

#include "engine/kernels/ops.h"
#include "engine/runtime/kv_cache.h"
#include "engine/runtime/sequence.h"

namespace sf {

// One sequence's share of a step: tokens [begin, begin + count) of its ids.
struct BatchPart {
  Sequence* sequence = nullptr;
  int begin = 0;
  int count = 0;
};

struct Batch {
  std::vector<BatchPart> parts;
  at::Tensor ids_T, positions_T;  // int64
  std::vector<int64_t> modality;  // kImageModality or kTextModality, per token
  AttentionMetadata attention;    // a sequence for each part
  at::Tensor last_token;          // int64: flat index of the last token of every part that samples
  std::vector<size_t> sampling_parts;
};

// REQUIRES: every part's pages cover begin + count tokens.
Batch make_batch(const std::vector<BatchPart>& parts, const KvCache& cache, at::Device device);

// int64 [T, 3]: (time, row, column) of every token, for M-RoPE.
at::Tensor mrope_positions(const Batch& batch);

}  // namespace sf
