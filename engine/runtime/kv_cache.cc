#include "engine/runtime/kv_cache.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/runtime/mapped_tensor.h"

namespace sf {
namespace {

constexpr int64_t kMaxPages = 1 << 22;
constexpr int64_t kMebibyte = 1 << 20;
constexpr int64_t kMaxMebibytes = int64_t{1} << 42;  // whose bytes still fit

// `bytes`: of the whole cache.
void check_fits(int64_t bytes, int64_t mebibytes, int64_t token_bytes, int max_context, const MemoryLimit& memory) {
  if (bytes <= memory.free_bytes) return;
  const bool never = bytes > memory.total_bytes;
  const int64_t limit = never ? memory.total_bytes : memory.free_bytes;
  throw Error(
      never ? Code::kFailedPrecondition : Code::kResourceExhausted,
      concat("kv-cache-mib: keys and values need ", bytes / kMebibyte, " MiB (--kv-cache-mib ", mebibytes,
             ", and at least the ", max_context, " tokens of --max-context at ", token_bytes,
             " bytes each), the limit is ", limit / kMebibyte, " MiB of memory", never ? "" : " that are free now"),
      "kv-cache-mib");
}

}  // namespace

KvCache::KvCache(const KvCacheOptions& options, const DecoderConfig& config, at::Device device)
    : options_(options), holders_(options.num_pages) {
  const std::vector<int64_t> shape = {int64_t{options.num_pages} * options.page_size, config.num_kv_heads,
                                      config.head_dim};
  for (int layer = 0; layer < config.num_layers; ++layer) {
    for (std::vector<at::Tensor>* rows : {&keys_, &values_}) {
      rows->push_back(device.is_cpu() ? mapped_zeros(shape, options.dtype)
                                      : at::zeros(shape, at::TensorOptions(device).dtype(options.dtype)));
    }
  }
  for (int page = options.num_pages - 1; page >= 0; --page) free_.push_back(page);
}

KvCacheOptions KvCache::options_for(int64_t mebibytes, const DecoderConfig& config, const MemoryLimit& memory) {
  KvCacheOptions options;
  // The config's own bounds (1024 layers, heads and channels, 2^20 tokens) keep these products below 2^53.
  const int64_t token_bytes = int64_t{2} * config.num_layers * config.num_kv_heads * config.head_dim *
                              static_cast<int64_t>(c10::elementSize(options.dtype));
  const int64_t page_bytes = token_bytes * options.page_size;
  const int64_t budget = std::clamp<int64_t>(mebibytes, 0, kMaxMebibytes) * kMebibyte;
  const int64_t least = (int64_t{config.max_context} + options.page_size - 1) / options.page_size;
  check_fits(std::max(budget, least * page_bytes), mebibytes, token_bytes, config.max_context, memory);
  options.num_pages = static_cast<int>(std::clamp(budget / page_bytes, least, std::max(least, kMaxPages)));
  return options;
}

std::optional<std::vector<int>> KvCache::allocate(int count) {
  if (count > free_pages()) return std::nullopt;
  while (static_cast<int>(free_.size()) < count) {
    const int page = idle_.front();
    if (on_evict_) on_evict_(page);
    if (idle(page)) drop(page);
  }
  std::vector<int> pages(free_.end() - count, free_.end());
  free_.resize(free_.size() - count);
  std::reverse(pages.begin(), pages.end());
  for (int page : pages) holders_[page].users = 1;
  return pages;
}

void KvCache::share(int page) {
  SF_CHECK(holders_[page].users > 0 || holders_[page].kept, "kv_cache: a free page cannot be shared");
  if (idle(page)) idle_.erase(holders_[page].idle_at);
  ++holders_[page].users;
}

void KvCache::release(const std::vector<int>& pages) {
  for (auto page = pages.rbegin(); page != pages.rend(); ++page) {
    Holders& holders = holders_[*page];
    SF_CHECK(holders.users > 0, "kv_cache: a page was released twice");
    if (--holders.users > 0) continue;
    if (holders.kept) {
      holders.idle_at = idle_.insert(idle_.end(), *page);
    } else {
      free_.push_back(*page);
    }
  }
}

void KvCache::keep(int page) {
  SF_CHECK(holders_[page].users > 0, "kv_cache: only a page in use can be kept");
  holders_[page].kept = true;
}

void KvCache::drop(int page) {
  if (idle(page)) {
    idle_.erase(holders_[page].idle_at);
    free_.push_back(page);
  }
  holders_[page].kept = false;
}

void KvCache::copy_tokens(int from_page, int to_page, int count) {
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    for (const at::Tensor& store : {keys_[layer], values_[layer]}) {
      store.narrow(0, int64_t{to_page} * page_size(), count)
          .copy_(store.narrow(0, int64_t{from_page} * page_size(), count));
    }
  }
}

}  // namespace sf
