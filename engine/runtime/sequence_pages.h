// The pages of every sequence: taken as it grows, shared with those that begin alike, kept for later ones, given back.
//
//   PrefixHit hit = pages.reuse(sequence);          // before its first step; sets sequence.computed
//   if (!pages.extend(sequence, end)) ...           // out of pages: nothing changed
//   ...                                             // compute tokens [sequence.computed, end)
//   pages.publish(sequence, begin);                 // others find them from now on
//   pages.release(sequence);
//
// A match never ends inside an image, and leaves at least the last token to compute, whose logits are wanted. Whole
// pages are shared; of a page that matches in part its first tokens are copied. One thread only.
#pragma once

#include <memory>
#include <string>

#include "engine/runtime/kv_cache.h"
#include "engine/runtime/page_routing.h"
#include "engine/runtime/prefix_cache.h"
#include "engine/runtime/sequence.h"

namespace sf {

struct SequencePagesOptions {
  KvCacheOptions kv;
  bool prefix_cache = true;
  std::string checkpoint_digest;
};

struct PrefixHit {
  int tokens = 0;  // found in the cache
  int images = 0;  // images wholly among them
};

class SequencePages {
 public:
  SequencePages(const SequencePagesOptions& options, const DecoderConfig& config, at::Device device);

  // Effect: looks for the longest computed prefix and makes it the sequence's. REQUIRES: it holds no pages.
  PrefixHit reuse(Sequence& sequence);
  // True if `leader`, whose tokens from `begin` on are computed in this step, will have an image in the cache that
  // `sequence` is next to encode: then waiting one step saves the image. REQUIRES: reuse() was called.
  bool worth_waiting(const Sequence& sequence, const Sequence& leader, int begin) const;
  // Effect: pages for its first `end` tokens; false and no effect if too few are free.
  bool extend(Sequence& sequence, int end);
  // Effect: what the sequence has computed can be found by others; `begin` is where its last step began.
  void publish(Sequence& sequence, int begin);
  // Effect: gives the pages back. What was published stays until the pages are needed.
  void release(Sequence& sequence);
  // Effect: nothing of the sequence is found any more: its numbers are broken.
  void withdraw(Sequence& sequence);

  const KvCache& cache() const { return cache_; }
  PageRouting& routing() { return routing_; }
  const PageRouting& routing() const { return routing_; }

 private:
  Sha256Digest key_before(Sequence& sequence, int page) const;
  bool take(Sequence& sequence, const PrefixMatch& match, int tokens);

  KvCache cache_;
  PageRouting routing_;
  PrefixCache prefixes_;
  const bool enabled_;
};

// What the sequence's tokens [begin, end) are to the cache.
std::vector<PrefixToken> prefix_tokens(const Sequence& sequence, int begin, int end);

}  // namespace sf
