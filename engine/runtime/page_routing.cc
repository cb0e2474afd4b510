#include "engine/runtime/page_routing.h"

#include <algorithm>

#include "engine/runtime/capacity_window.h"

namespace sf {

PageRouting::PageRouting(const KvCacheOptions& options, const DecoderConfig& config)
    : page_size_(options.page_size),
      top_k_(config.moe.top_k),
      layers_(routed_layers(config)),
      width_(layers_.size() * config.moe.top_k),
      ids_(size_t(options.num_pages) * options.page_size * width_),
      gates_(ids_.size()) {}

void PageRouting::record(const Batch& batch, const float* rows) {
  const size_t stride = 2 * top_k_ + 1, tokens = batch.modality.size();
  size_t token = 0;
  for (const BatchPart& part : batch.parts) {
    for (int i = part.begin; i < part.begin + part.count; ++i, ++token) {
      const size_t to = row_of(*part.sequence, i);
      for (size_t layer = 0; layer < layers_.size(); ++layer) {
        const float* row = rows + (layer * tokens + token) * stride;
        std::copy(row, row + top_k_, ids_.begin() + to + layer * top_k_);
        std::copy(row + top_k_, row + 2 * top_k_, gates_.begin() + to + layer * top_k_);
      }
    }
  }
}

std::span<const uint16_t> PageRouting::ids(const Sequence& sequence, int position) const {
  return std::span(ids_).subspan(row_of(sequence, position), width_);
}

std::span<const float> PageRouting::gates(const Sequence& sequence, int position) const {
  return std::span(gates_).subspan(row_of(sequence, position), width_);
}

RequestCounts PageRouting::recount(Sequence& sequence, int tokens, int64_t window_capacity) const {
  RequestCounts counts;
  for (int i = 0; i < tokens; ++i) {
    for (int layer : layers_) sequence.window.begin_token(layer, i);
    const std::span<const uint16_t> experts = ids(sequence, i);
    for (size_t j = 0; j < experts.size(); ++j) {
      const bool over = sequence.window.add(layers_[j / top_k_], experts[j], window_capacity);
      if (i < sequence.counted) continue;
      ++counts.assigned;
      counts.overflow += over;
    }
  }
  return counts;
}

void PageRouting::copy_tokens(int from_page, int to_page, int count) {
  const size_t page = size_t(page_size_) * width_, length = size_t(count) * width_;
  std::copy_n(ids_.begin() + from_page * page, length, ids_.begin() + to_page * page);
  std::copy_n(gates_.begin() + from_page * page, length, gates_.begin() + to_page * page);
}

}  // namespace sf
