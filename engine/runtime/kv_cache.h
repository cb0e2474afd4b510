// The paged store of keys and values: per layer one K and one V tensor [pages, page_size, G, C] and a free list.
//
//   KvCache cache({.num_pages = 256}, decoder_config, device);
//   if (auto pages = cache.allocate(3)) ...;  cache.release(*pages);
//
// One thread only.
#pragma once

#include <optional>
#include <vector>

#include <torch/torch.h>

#include "engine/model/config.h"

namespace sf {

struct KvCacheOptions {
  int num_pages = 256;
  int page_size = 16;  // tokens
};

class KvCache {
 public:
  KvCache(const KvCacheOptions& options, const DecoderConfig& config, at::Device device);

  // Pages for a budget of memory; at least one sequence of max_context fits.
  static KvCacheOptions options_for(int64_t mebibytes, const DecoderConfig& config);

  // Effect: takes `count` pages, all or none.
  std::optional<std::vector<int>> allocate(int count);
  void release(const std::vector<int>& pages);
  int free_pages() const { return static_cast<int>(free_.size()); }
  int num_pages() const { return options_.num_pages; }
  int page_size() const { return options_.page_size; }
  int pages_for(int tokens) const { return (tokens + options_.page_size - 1) / options_.page_size; }

  // Flat views [pages*page_size, G, C]: slot = page*page_size + offset.
  const at::Tensor& keys(int layer) const { return keys_[layer]; }
  const at::Tensor& values(int layer) const { return values_[layer]; }

 private:
  KvCacheOptions options_;
  std::vector<at::Tensor> keys_, values_;
  std::vector<int> free_;
};

}  // namespace sf
