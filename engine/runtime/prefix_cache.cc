#include "engine/runtime/prefix_cache.h"

#include <algorithm>

namespace sf {
namespace {

void append(std::string& bytes, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift);
}

int common_length(std::span<const PrefixToken> a, std::span<const PrefixToken> b) {
  return static_cast<int>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

PrefixCache::PrefixCache(KvCache& cache, std::string checkpoint_digest)
    : cache_(cache), checkpoint_digest_(std::move(checkpoint_digest)) {
  cache_.set_on_evict([this](int page) { erase(page); });
}

Sha256Digest PrefixCache::root(const std::string& salt) const {
  return sha256("prefix\n" + checkpoint_digest_ + "\n" + salt);
}

Sha256Digest PrefixCache::next_key(const Sha256Digest& parent, std::span<const PrefixToken> page_tokens) {
  std::string bytes(parent.begin(), parent.end());
  for (const PrefixToken& token : page_tokens) {
    append(bytes, static_cast<uint32_t>(token.id));
    append(bytes, static_cast<uint32_t>(token.image_offset));
    if (token.image_offset >= 0) bytes.append(token.image.begin(), token.image.end());
  }
  return sha256(bytes);
}

PrefixMatch PrefixCache::find(const Sha256Digest& root, std::span<const PrefixToken> tokens) const {
  PrefixMatch match;
  Sha256Digest key = root;
  const size_t page_size = static_cast<size_t>(cache_.page_size());
  for (; tokens.size() >= page_size; tokens = tokens.subspan(page_size)) {
    const Sha256Digest next = next_key(key, tokens.first(page_size));
    const auto found = whole_pages_.find(next);
    if (found == whole_pages_.end()) break;
    match.pages.push_back(found->second);
    match.tokens += static_cast<int>(page_size);
    key = next;
  }
  if (tokens.empty()) return match;
  const auto siblings = siblings_.find(next_key(key, tokens.first(1)));
  if (siblings == siblings_.end()) return match;
  int most = 0, best = -1;
  for (int page : siblings->second) {
    const int common = common_length(records_.at(page).tokens, tokens);
    if (common > most) {
      most = common;
      best = page;
    }
  }
  if (best >= 0) match.pages.push_back(best);
  match.tokens += most;
  return match;
}

void PrefixCache::put(const Sha256Digest& parent, std::span<const PrefixToken> tokens, int page) {
  if (tokens.empty()) return;
  const Sha256Digest list = next_key(parent, tokens.first(1));
  std::vector<int> covered = {page};
  if (const auto siblings = siblings_.find(list); siblings != siblings_.end()) {
    for (int other : siblings->second) {
      if (other == page) continue;
      const std::vector<PrefixToken>& known = records_.at(other).tokens;
      const int common = common_length(known, tokens);
      if (common == static_cast<int>(tokens.size())) return forget(page);
      if (common == static_cast<int>(known.size())) covered.push_back(other);
    }
  }
  cache_.keep(page);
  for (int other : covered) {
    if (other == page)
      erase(page);
    else
      forget(other);
  }
  Record record{list, {}, {tokens.begin(), tokens.end()}};
  if (whole(record)) {
    record.key = next_key(parent, tokens);
    whole_pages_[record.key] = page;
  }
  siblings_[list].push_back(page);
  records_[page] = std::move(record);
}

void PrefixCache::forget(int page) {
  erase(page);
  cache_.drop(page);
}

void PrefixCache::erase(int page) {
  const auto found = records_.find(page);
  if (found == records_.end()) return;
  const Record& record = found->second;
  if (whole(record)) whole_pages_.erase(record.key);
  const auto siblings = siblings_.find(record.siblings);
  std::erase(siblings->second, page);
  if (siblings->second.empty()) siblings_.erase(siblings);
  records_.erase(found);
}

}  // namespace sf
