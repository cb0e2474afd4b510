#include "engine/runtime/kv_cache.h"

#include <algorithm>

#include "engine/base/error.h"

namespace sf {

KvCache::KvCache(const KvCacheOptions& options, const DecoderConfig& config, at::Device device) : options_(options) {
  const std::vector<int64_t> shape = {int64_t{options.num_pages} * options.page_size, config.num_kv_heads, config.head_dim};
  for (int layer = 0; layer < config.num_layers; ++layer) {
    keys_.push_back(at::zeros(shape, at::TensorOptions(device).dtype(at::kFloat)));
    values_.push_back(at::zeros(shape, at::TensorOptions(device).dtype(at::kFloat)));
  }
  for (int page = options.num_pages - 1; page >= 0; --page) free_.push_back(page);
}

KvCacheOptions KvCache::options_for(int64_t mebibytes, const DecoderConfig& config) {
  KvCacheOptions options;
  const int64_t token_bytes = int64_t{2} * config.num_layers * config.num_kv_heads * config.head_dim * 4;
  const int64_t wanted = (mebibytes << 20) / (token_bytes * options.page_size);
  const int64_t least = (config.max_context + options.page_size - 1) / options.page_size;
  options.num_pages = static_cast<int>(std::clamp<int64_t>(wanted, least, 1 << 22));
  return options;
}

std::optional<std::vector<int>> KvCache::allocate(int count) {
  if (count > free_pages()) return std::nullopt;
  std::vector<int> pages(free_.end() - count, free_.end());
  free_.resize(free_.size() - count);
  std::reverse(pages.begin(), pages.end());
  return pages;
}

void KvCache::release(const std::vector<int>& pages) {
  free_.insert(free_.end(), pages.rbegin(), pages.rend());
  SF_CHECK(free_pages() <= num_pages(), "kv_cache: a page was released twice");
}

}  // namespace sf
