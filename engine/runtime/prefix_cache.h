// Which pages of the KvCache hold the beginning of a prompt that was computed before.
//
//   PrefixCache prefixes(cache, checkpoint_digest);
//   PrefixMatch match = prefixes.find(prefixes.root(salt), tokens);    // exact to the token
//   prefixes.put(key, tokens_of_a_page, page);                         // the page stays after its last user goes
//
// The key of a page is a chain: SHA-256 of the key of everything before it and of its tokens; the first key holds the
// checkpoint's digest and the caller's salt. A token of an image counts as its offset in the image and the digest of
// the preprocessed pixels, so equal keys mean equal keys and values, up to the rounding of other batch shapes.
// Memory: a record of about 1 KiB a page at most. One thread only.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/checkpoint/sha256.h"
#include "engine/runtime/kv_cache.h"

namespace sf {

// All of a token that its keys and values depend on, beside the tokens before it.
struct PrefixToken {
  int32_t id = 0;
  int32_t image_offset = -1;  // from the image's first token; -1 = text
  Sha256Digest image = {};    // of the preprocessed image with its grid; zero for text
  friend bool operator==(const PrefixToken&, const PrefixToken&) = default;
};

struct PrefixMatch {
  int tokens = 0;
  std::vector<int> pages;  // hold tokens [0, tokens); of the last page perhaps only the first ones match
};

class PrefixCache {
 public:
  // Effect: takes the cache's on_evict. REQUIRES: `cache` outlives this.
  PrefixCache(KvCache& cache, std::string checkpoint_digest);

  // The key of an empty prefix. Prefixes under different salts never match.
  Sha256Digest root(const std::string& salt) const;
  // The key of everything up to the end of a page that begins after `parent`.
  static Sha256Digest next_key(const Sha256Digest& parent, std::span<const PrefixToken> page_tokens);

  // The longest known prefix of `tokens`. Takes no page: REQUIRES that the caller shares them before it allocates.
  PrefixMatch find(const Sha256Digest& root, std::span<const PrefixToken> tokens) const;
  // Effect: `page` can be found as the one that holds `tokens` (one page's at most) after `parent`. Nothing where
  // another page is known to hold them; records that say less than this one go. A page may be put again once it holds
  // more. REQUIRES: the page is in use, and no slot of `tokens` is written again while it is known.
  void put(const Sha256Digest& parent, std::span<const PrefixToken> tokens, int page);
  // Effect: the page is found no more; unknown pages are ignored.
  void forget(int page);
  int num_pages() const { return static_cast<int>(records_.size()); }

 private:
  struct KeyHash {
    size_t operator()(const Sha256Digest& key) const {
      size_t hash;
      std::memcpy(&hash, key.data(), sizeof hash);
      return hash;
    }
  };
  struct Record {
    Sha256Digest siblings;  // of the list of pages that begin with the same token after the same prefix
    Sha256Digest key;       // of a whole page
    std::vector<PrefixToken> tokens;
  };
  bool whole(const Record& record) const { return static_cast<int>(record.tokens.size()) == cache_.page_size(); }
  void erase(int page);

  KvCache& cache_;
  const std::string checkpoint_digest_;
  std::unordered_map<int, Record> records_;  // by page
  std::unordered_map<Sha256Digest, int, KeyHash> whole_pages_;
  std::unordered_map<Sha256Digest, std::vector<int>, KeyHash> siblings_;  // whole and partly filled pages
};

}  // namespace sf
