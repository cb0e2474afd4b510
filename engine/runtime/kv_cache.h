// The paged store of keys and values: per layer one K and one V tensor [pages*page_size, G, C], and which sequences
// hold each page.
//
//   KvCache cache({.num_pages = 256}, decoder_config, device);
//   if (auto pages = cache.allocate(3)) {
//     ...
//     cache.release(*pages);
//   }
//
// A page is free, in use (by one sequence or several that begin alike), or idle: without a user, but kept for its
// content until allocate() needs it. One thread only.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <vector>

#include <torch/torch.h>

#include "engine/model/config.h"
#include "engine/runtime/memory_limit.h"

namespace sf {

struct KvCacheOptions {
  int num_pages = 256;
  int page_size = 16;                 // tokens
  at::ScalarType dtype = at::kFloat;  // of keys and values: f32, f16 or bf16, rounded where they are written
};

class KvCache {
 public:
  KvCache(const KvCacheOptions& options, const DecoderConfig& config, at::Device device);

  // Pages of f32 for a budget of memory; at least one sequence of max_context fits.
  // Errors: FailedPrecondition where this is more than the machine (or the container) can ever give,
  // ResourceExhausted where it is more than is free now; both name what asks for it. Checked in advance, because the
  // kernel promises more memory than there is and kills the process that uses it.
  static KvCacheOptions options_for(int64_t mebibytes, const DecoderConfig& config, const MemoryLimit& memory = {});

  // Effect: takes `count` pages, all or none: free ones first, then idle ones, whichever is idle longest. An idle page
  // that goes is reported to on_evict first.
  std::optional<std::vector<int>> allocate(int count);
  // Effect: one more user of a page in use or idle.
  void share(int page);
  // Effect: one user less of each page. Idle ones are then evicted from the last to the first.
  void release(const std::vector<int>& pages);
  // Effect: the page, in use now, becomes idle instead of free when its last user goes.
  void keep(int page);
  // Effect: undoes keep(); an idle page becomes free.
  void drop(int page);
  void set_on_evict(std::function<void(int page)> on_evict) { on_evict_ = std::move(on_evict); }

  // Effect: copies keys and values of the first `count` tokens of a page, in all layers.
  void copy_tokens(int from_page, int to_page, int count);

  // What allocate() can give: free and idle pages.
  int free_pages() const { return static_cast<int>(free_.size() + idle_.size()); }
  int idle_pages() const { return static_cast<int>(idle_.size()); }
  int num_pages() const { return options_.num_pages; }
  int page_size() const { return options_.page_size; }
  int pages_for(int tokens) const { return (tokens + options_.page_size - 1) / options_.page_size; }

  // Flat views [pages*page_size, G, C]: slot = page*page_size + offset.
  const at::Tensor& keys(int layer) const { return keys_[layer]; }
  const at::Tensor& values(int layer) const { return values_[layer]; }

 private:
  struct Holders {
    int users = 0;
    bool kept = false;
    std::list<int>::iterator idle_at;  // valid while idle
  };

  bool idle(int page) const { return holders_[page].kept && holders_[page].users == 0; }

  KvCacheOptions options_;
  std::vector<at::Tensor> keys_, values_;
  std::vector<Holders> holders_;
  std::vector<int> free_;
  std::list<int> idle_;  // the next to be evicted first
  std::function<void(int)> on_evict_;
};

}  // namespace sf
