#include "engine/runtime/batch.h"

#include <algorithm>
#include <limits>

namespace sf {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

int64_t slot_of(const Sequence& sequence, int position, int page_size) {
  return int64_t{sequence.pages[position / page_size]} * page_size + position % page_size;
}

at::Tensor to_device(const std::vector<int64_t>& values, at::Device device) {
  return torch::tensor(values, at::kLong).to(device);
}

// `members`: indices into parts; `first_token`: flat index of each part's first token.
AttentionGroup make_group(const std::vector<BatchPart>& parts, const std::vector<int64_t>& first_token,
                          const std::vector<size_t>& members, int page_size, at::Device device) {
  AttentionGroup group;
  group.num_sequences = static_cast<int64_t>(members.size());
  for (size_t m : members) {
    group.query_length = std::max<int64_t>(group.query_length, parts[m].count);
    group.key_length = std::max<int64_t>(group.key_length, parts[m].begin + parts[m].count);
  }
  std::vector<int64_t> queries, slots;
  queries.reserve(group.num_sequences * group.query_length);
  slots.reserve(group.num_sequences * group.key_length);
  at::Tensor mask = at::full({group.num_sequences, 1, group.query_length, group.key_length}, kForbidden, at::kFloat);
  float* row = mask.data_ptr<float>();
  for (size_t m : members) {
    const BatchPart& part = parts[m];
    const int total = part.begin + part.count;
    for (int64_t i = 0; i < group.query_length; ++i, row += group.key_length) {
      const int query = static_cast<int>(std::min<int64_t>(i, part.count - 1));
      queries.push_back(first_token[m] + query);
      std::fill(row, row + part.begin + query + 1, 0.0f);
    }
    for (int64_t j = 0; j < group.key_length; ++j) {
      slots.push_back(slot_of(*part.sequence, static_cast<int>(std::min<int64_t>(j, total - 1)), page_size));
    }
  }
  group.query_token = to_device(queries, device);
  group.context_slots = to_device(slots, device);
  group.mask_S1QL = mask.to(device);
  return group;
}

}  // namespace

Batch make_batch(const std::vector<BatchPart>& parts, const KvCache& cache, at::Device device) {
  Batch batch;
  batch.parts = parts;
  std::vector<int64_t> ids, positions, slots, first_token, last;
  std::vector<size_t> decoding, prompts;
  for (size_t p = 0; p < parts.size(); ++p) {
    const BatchPart& part = parts[p];
    const Sequence& sequence = *part.sequence;
    first_token.push_back(static_cast<int64_t>(ids.size()));
    (part.count == 1 ? decoding : prompts).push_back(p);
    size_t span = 0;
    const auto& images = sequence.prompt->tokens.images;
    for (int i = part.begin; i < part.begin + part.count; ++i) {
      while (span < images.size() && i >= images[span].begin + images[span].count) ++span;
      const bool image = span < images.size() && i >= images[span].begin;
      batch.modality.push_back(image ? kImageModality : kTextModality);
      ids.push_back(sequence.ids[i]);
      positions.push_back(i);
      slots.push_back(slot_of(sequence, i, cache.page_size()));
    }
    if (part.begin + part.count == static_cast<int>(sequence.ids.size())) {
      last.push_back(static_cast<int64_t>(ids.size()) - 1);
      batch.sampling_parts.push_back(p);
    }
  }
  std::vector<int64_t> output_of_token(ids.size());
  int64_t output = 0;
  for (const auto* members : {&decoding, &prompts}) {
    if (members->empty()) continue;
    batch.groups.push_back(make_group(parts, first_token, *members, cache.page_size(), device));
    for (size_t m : *members) {
      for (int i = 0; i < parts[m].count; ++i) output_of_token[first_token[m] + i] = output + i;
      output += batch.groups.back().query_length;
    }
  }
  batch.ids_T = to_device(ids, device);
  batch.positions_T = to_device(positions, device);
  batch.slot_mapping_T = to_device(slots, device);
  batch.output_of_token = to_device(output_of_token, device);
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

at::Tensor PagedAttention::attend(int layer, const at::Tensor& q_THC, const at::Tensor& k_TGC,
                                  const at::Tensor& v_TGC) {
  at::Tensor keys = cache_.keys(layer), values = cache_.values(layer);
  keys.index_copy_(0, batch_.slot_mapping_T, k_TGC);
  values.index_copy_(0, batch_.slot_mapping_T, v_TGC);
  const int64_t heads = q_THC.size(1), kv_heads = k_TGC.size(1), channels = q_THC.size(2);
  std::vector<at::Tensor> outputs;
  for (const AttentionGroup& group : batch_.groups) {
    auto split = [&](const at::Tensor& flat, const at::Tensor& index, int64_t length, int64_t h) {
      return flat.index_select(0, index).view({group.num_sequences, length, h, channels}).transpose(1, 2);
    };
    at::Tensor out = at::scaled_dot_product_attention(split(q_THC, group.query_token, group.query_length, heads),
                                                      split(keys, group.context_slots, group.key_length, kv_heads),
                                                      split(values, group.context_slots, group.key_length, kv_heads),
                                                      group.mask_S1QL, 0.0, false, std::nullopt, heads != kv_heads);
    outputs.push_back(out.transpose(1, 2).reshape({-1, heads, channels}));
  }
  at::Tensor all = outputs.size() == 1 ? outputs[0] : at::cat(outputs, 0);
  return all.index_select(0, batch_.output_of_token);
}

}  // namespace sf
