#include "engine/runtime/batch.h"

#include <algorithm>

namespace sf {
namespace {

at::Tensor to_device(const std::vector<int64_t>& values, at::Device device) {
  return torch::tensor(values, at::kLong).to(device);
}

AttentionMetadata attention_metadata(const std::vector<BatchPart>& parts, int page_size) {
  AttentionMetadata metadata;
  metadata.page_size = page_size;
  const auto num_sequences = static_cast<int64_t>(parts.size());
  int64_t num_blocks = 0, num_tokens = 0;
  for (const BatchPart& part : parts) {
    const int64_t context = part.begin + part.count;
    metadata.max_query_len = std::max<int64_t>(metadata.max_query_len, part.count);
    metadata.max_context_len = std::max(metadata.max_context_len, context);
    num_blocks = std::max(num_blocks, (context + page_size - 1) / page_size);
    num_tokens += part.count;
  }
  metadata.block_table_SB = at::zeros({num_sequences, num_blocks}, at::kInt);
  metadata.context_lens_S = at::empty({num_sequences}, at::kInt);
  metadata.cu_query_lens_S1 = at::zeros({num_sequences + 1}, at::kInt);
  metadata.slot_mapping_T = at::empty({num_tokens}, at::kLong);
  int *blocks = metadata.block_table_SB.data_ptr<int>(), *context_lens = metadata.context_lens_S.data_ptr<int>(),
      *cu_query_lens = metadata.cu_query_lens_S1.data_ptr<int>();
  int64_t* slot = metadata.slot_mapping_T.data_ptr<int64_t>();
  for (const BatchPart& part : parts) {
    const std::vector<int>& pages = part.sequence->pages;
    const int context = part.begin + part.count;
    std::copy_n(pages.begin(), (context + page_size - 1) / page_size, blocks);
    blocks += num_blocks;
    *context_lens++ = context;
    cu_query_lens[1] = cu_query_lens[0] + part.count;
    ++cu_query_lens;
    for (int i = part.begin; i < context; ++i) *slot++ = int64_t{pages[i / page_size]} * page_size + i % page_size;
  }
  return metadata;
}

}  // namespace

Batch make_batch(const std::vector<BatchPart>& parts, const KvCache& cache, at::Device device) {
  Batch batch;
  batch.parts = parts;
  std::vector<int64_t> ids, positions, last;
  for (size_t p = 0; p < parts.size(); ++p) {
    const BatchPart& part = parts[p];
    const Sequence& sequence = *part.sequence;
    size_t span = 0;
    const auto& images = sequence.prompt->tokens.images;
    for (int i = part.begin; i < part.begin + part.count; ++i) {
      while (span < images.size() && i >= images[span].begin + images[span].count) ++span;
      const bool image = span < images.size() && i >= images[span].begin;
      batch.modality.push_back(image ? kImageModality : kTextModality);
      ids.push_back(sequence.ids[i]);
      positions.push_back(i);
    }
    if (part.begin + part.count == static_cast<int>(sequence.ids.size())) {
      last.push_back(static_cast<int64_t>(ids.size()) - 1);
      batch.sampling_parts.push_back(p);
    }
  }
  batch.attention = attention_metadata(parts, cache.page_size());
  batch.ids_T = to_device(ids, device);
  batch.positions_T = to_device(positions, device);
  batch.last_token = to_device(last, device);
  return batch;
}

at::Tensor mrope_positions(const Batch& batch) {
  std::vector<int64_t> values;
  for (const BatchPart& part : batch.parts) {
    for (int i = part.begin; i < part.begin + part.count; ++i) {
      const auto position = mrope_position(part.sequence->prompt->tokens.images, i);
      values.insert(values.end(), position.begin(), position.end());
    }
  }
  return torch::tensor(values, at::kLong).view({-1, 3}).to(batch.positions_T.device());
}

}  // namespace sf
