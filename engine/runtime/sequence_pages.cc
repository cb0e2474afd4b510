#include "engine/runtime/sequence_pages.h"

#include <algorithm>

namespace sf {
namespace {

// A match of `tokens` cut back to before the image in which it ends, if it does.
int outside_images(const Sequence& sequence, int tokens) {
  for (const ImageSpan& span : sequence.prompt->tokens.images) {
    if (tokens > span.begin && tokens < span.begin + span.count) return span.begin;
  }
  return tokens;
}

}  // namespace

std::vector<PrefixToken> prefix_tokens(const Sequence& sequence, int begin, int end) {
  std::vector<PrefixToken> tokens;
  tokens.reserve(std::max(0, end - begin));
  for (int i = begin; i < end; ++i) tokens.push_back({sequence.ids[i], -1, {}});
  const EnginePrompt& prompt = *sequence.prompt;
  for (size_t s = 0; s < prompt.tokens.images.size(); ++s) {
    const ImageSpan& span = prompt.tokens.images[s];
    for (int i = std::max(begin, span.begin); i < std::min(end, span.begin + span.count); ++i) {
      tokens[i - begin].image_offset = i - span.begin;
      tokens[i - begin].image = prompt.image_digests[s];
    }
  }
  return tokens;
}

SequencePages::SequencePages(const SequencePagesOptions& options, const DecoderConfig& config, at::Device device)
    : cache_(options.kv, config, device),
      routing_(options.kv, config),
      prefixes_(cache_, options.checkpoint_digest),
      enabled_(options.prefix_cache) {}

PrefixHit SequencePages::reuse(Sequence& sequence) {
  PrefixHit hit;
  if (!enabled_ || !sequence.shares_prefixes || !sequence.pages.empty()) return hit;
  const std::vector<PrefixToken> tokens = prefix_tokens(sequence, 0, static_cast<int>(sequence.ids.size()) - 1);
  const PrefixMatch match = prefixes_.find(key_before(sequence, 0), tokens);
  hit.tokens = outside_images(sequence, match.tokens);
  if (hit.tokens == 0 || !take(sequence, match, hit.tokens)) return {};
  sequence.computed = hit.tokens;
  for (const ImageSpan& span : sequence.prompt->tokens.images) hit.images += span.begin + span.count <= hit.tokens;
  return hit;
}

// False, and no effect, if there is no page to copy the last part to.
bool SequencePages::take(Sequence& sequence, const PrefixMatch& match, int tokens) {
  const int whole = tokens / cache_.page_size(), rest = tokens % cache_.page_size();
  std::vector<int> held(match.pages.begin(), match.pages.begin() + whole + (rest > 0));
  for (int page : held) cache_.share(page);  // the page that is copied too: or it might be evicted for its own copy
  if (rest > 0) {
    const auto own = cache_.allocate(1);
    if (!own) {
      cache_.release(held);
      return false;
    }
    const int from = held.back();
    cache_.copy_tokens(from, own->front(), rest);
    routing_.copy_tokens(from, own->front(), rest);
    cache_.release({from});
    held.back() = own->front();
  }
  sequence.pages = std::move(held);
  return true;
}

bool SequencePages::worth_waiting(const Sequence& sequence, const Sequence& leader, int begin) const {
  if (!enabled_ || !sequence.shares_prefixes || !leader.shares_prefixes) return false;
  if (sequence.sampling.cache_salt != leader.sampling.cache_salt) return false;
  const EnginePrompt &mine = *sequence.prompt, &its = *leader.prompt;
  for (size_t i = 0; i < mine.tokens.images.size(); ++i) {
    const int end = mine.tokens.images[i].begin + mine.tokens.images[i].count;
    if (end <= sequence.computed) continue;
    // Only the next image: what comes after it is worth no step.
    return begin < end && i < its.image_digests.size() && its.image_digests[i] == mine.image_digests[i] &&
           end <= static_cast<int>(leader.ids.size()) &&
           prefix_tokens(sequence, 0, end) == prefix_tokens(leader, 0, end);
  }
  return false;
}

bool SequencePages::extend(Sequence& sequence, int end) {
  const int needed = cache_.pages_for(end) - static_cast<int>(sequence.pages.size());
  if (needed <= 0) return true;
  const auto pages = cache_.allocate(needed);
  if (!pages) return false;
  sequence.pages.insert(sequence.pages.end(), pages->begin(), pages->end());
  return true;
}

void SequencePages::publish(Sequence& sequence, int begin) {
  if (!enabled_ || !sequence.shares_prefixes) return;
  const int page_size = cache_.page_size();
  const int shareable = sequence.shareable();
  for (int page = begin / page_size; page * page_size < shareable; ++page) {
    const int end = std::min((page + 1) * page_size, shareable);
    prefixes_.put(key_before(sequence, page), prefix_tokens(sequence, page * page_size, end), sequence.pages[page]);
  }
}

void SequencePages::release(Sequence& sequence) {
  if (!sequence.pages.empty() && sequence.computed > 0) publish(sequence, sequence.shareable() - 1);
  cache_.release(sequence.pages);
  sequence.pages.clear();
  sequence.computed = 0;
}

void SequencePages::withdraw(Sequence& sequence) {
  sequence.shares_prefixes = false;
  for (int page : sequence.pages) prefixes_.forget(page);
}

// The chain grows with the sequence; what is in it stays, because tokens are never taken back (but for the tried ones
// of choices, which publish() never reaches).
Sha256Digest SequencePages::key_before(Sequence& sequence, int page) const {
  std::vector<Sha256Digest>& keys = sequence.page_keys;
  if (keys.empty()) keys.push_back(prefixes_.root(sequence.sampling.cache_salt));
  const int page_size = cache_.page_size();
  while (static_cast<int>(keys.size()) <= page) {
    const int begin = (static_cast<int>(keys.size()) - 1) * page_size;
    keys.push_back(PrefixCache::next_key(keys.back(), prefix_tokens(sequence, begin, begin + page_size)));
  }
  return keys[page];
}

}  // namespace sf
