// Which experts every token in the paged cache went to, with which gates: beside the keys and values of each page, so
// that a token that is not computed again still has its routing. 6 bytes a layer that routes and slot of top-k.
//
//   routing.record(batch, rows_LTW.data_ptr<float>());                // after a step
//   RequestCounts counts = routing.recount(sequence, 36, capacity);   // for 36 tokens found in the cache
//
// One thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/runtime/batch.h"

namespace sf {

// A request's own counts: they depend on its tokens alone, not on the request that computed them.
struct RequestCounts {
  uint32_t assigned = 0;  // expert assignments
  uint32_t overflow = 0;  // of them above the capacity of the request's causal windows
};

class PageRouting {
 public:
  PageRouting(const KvCacheOptions& options, const DecoderConfig& config);

  // Effect: takes the routing of a step's tokens. rows: [L, T, 2K+1] of ids, gates and entropy (ExpertStats);
  // L counts the layers that route.
  void record(const Batch& batch, const float* rows);
  // The routing of the token at `position`, [L, K] each. REQUIRES: the sequence has a page for it.
  std::span<const uint16_t> ids(const Sequence& sequence, int position) const;
  std::span<const float> gates(const Sequence& sequence, int position) const;
  // Effect: sets the sequence's capacity windows to what they are after its first `tokens` tokens; returns what these
  // tokens count from position sequence.counted on. window_capacity 0 = no limit.
  RequestCounts recount(Sequence& sequence, int tokens, int64_t window_capacity) const;
  // Effect: copies the routing of the first `count` tokens of a page.
  void copy_tokens(int from_page, int to_page, int count);

 private:
  size_t row_of(const Sequence& sequence, int position) const {
    return (size_t(sequence.pages[position / page_size_]) * page_size_ + position % page_size_) * width_;
  }

  int page_size_, top_k_;
  std::vector<int> layers_;    // the decoder's layer of each row
  size_t width_;               // L*K
  std::vector<uint16_t> ids_;  // [pages*page_size, L, K]
  std::vector<float> gates_;
};

}  // namespace sf
