#include <algorithm>
#include <limits>

#include "engine/kernels/reference/reference.h"

namespace sf::reference {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

at::Tensor index_on(at::Device device, const std::vector<int64_t>& values) {
  return torch::tensor(values, at::kLong).to(device);
}

// The metadata as plain numbers on the host.
class HostSequences {
 public:
  explicit HostSequences(const AttentionMetadata& metadata)
      : block_table_(metadata.block_table_SB.const_data_ptr<int>()),
        context_lens_(metadata.context_lens_S.const_data_ptr<int>()),
        cu_query_lens_(metadata.cu_query_lens_S1.const_data_ptr<int>()),
        num_blocks_(metadata.block_table_SB.size(1)),
        page_size_(metadata.page_size) {}
  int64_t first_query(int64_t s) const { return cu_query_lens_[s]; }
  int64_t query_len(int64_t s) const { return cu_query_lens_[s + 1] - cu_query_lens_[s]; }
  int64_t context_len(int64_t s) const { return context_lens_[s]; }
  int64_t slot(int64_t s, int64_t position) const {
    return int64_t{block_table_[s * num_blocks_ + position / page_size_]} * page_size_ + position % page_size_;
  }

 private:
  const int *block_table_, *context_lens_, *cu_query_lens_;
  int64_t num_blocks_, page_size_;
};

// Sequences whose queries are padded to one length.
struct AttentionGroup {
  at::Tensor query_token;    // [S*Q] int64: flat token of each query, padding repeats the last
  at::Tensor context_slots;  // [S*L] int64: the block table as slots, one for each key; padding repeats the last
  at::Tensor mask_S1QL;      // f32, 0 or -inf
  int64_t num_sequences = 0, query_length = 0, key_length = 0;
};

AttentionGroup make_group(const HostSequences& sequences, const std::vector<int64_t>& members, at::Device device) {
  AttentionGroup group;
  group.num_sequences = static_cast<int64_t>(members.size());
  for (int64_t s : members) {
    group.query_length = std::max(group.query_length, sequences.query_len(s));
    group.key_length = std::max(group.key_length, sequences.context_len(s));
  }
  std::vector<int64_t> queries, slots;
  queries.reserve(group.num_sequences * group.query_length);
  slots.reserve(group.num_sequences * group.key_length);
  at::Tensor mask = at::full({group.num_sequences, 1, group.query_length, group.key_length}, kForbidden, at::kFloat);
  float* row = mask.data_ptr<float>();
  for (int64_t s : members) {
    const int64_t count = sequences.query_len(s), total = sequences.context_len(s);
    for (int64_t i = 0; i < group.query_length; ++i, row += group.key_length) {
      const int64_t query = std::min(i, count - 1);
      queries.push_back(sequences.first_query(s) + query);
      std::fill(row, row + total - count + query + 1, 0.0f);
    }
    for (int64_t j = 0; j < group.key_length; ++j) slots.push_back(sequences.slot(s, std::min(j, total - 1)));
  }
  group.query_token = index_on(device, queries);
  group.context_slots = index_on(device, slots);
  group.mask_S1QL = mask.to(device);
  return group;
}

class PaddedAttention : public AttentionPlan {
 public:
  PaddedAttention(const AttentionMetadata& metadata, at::Device device)
      : slot_mapping_T_(metadata.slot_mapping_T.to(device)) {
    const HostSequences sequences(metadata);
    std::vector<int64_t> decoding, prompts;
    for (int64_t s = 0; s < metadata.context_lens_S.size(0); ++s) {
      (sequences.query_len(s) == 1 ? decoding : prompts).push_back(s);
    }
    std::vector<int64_t> output_of_token(metadata.slot_mapping_T.size(0));
    int64_t output = 0;
    for (const auto* members : {&decoding, &prompts}) {
      if (members->empty()) continue;
      groups_.push_back(make_group(sequences, *members, device));
      for (int64_t s : *members) {
        for (int64_t i = 0; i < sequences.query_len(s); ++i) {
          output_of_token[sequences.first_query(s) + i] = output + i;
        }
        output += groups_.back().query_length;
      }
    }
    output_of_token_ = index_on(device, output_of_token);
  }

  at::Tensor run(const PagedAttentionInput& in) const override {
    // The cache's tensors are handles: writing through a copy writes the cache.
    at::Tensor keys = in.keys_NGC, values = in.values_NGC;
    keys.index_copy_(0, slot_mapping_T_, in.k_TGC.to(keys.scalar_type()));
    values.index_copy_(0, slot_mapping_T_, in.v_TGC.to(values.scalar_type()));
    const int64_t heads = in.q_THC.size(1), kv_heads = in.k_TGC.size(1), channels = in.q_THC.size(2);
    std::vector<at::Tensor> outputs;
    for (const AttentionGroup& group : groups_) {
      auto split = [&](const at::Tensor& flat, const at::Tensor& index, int64_t length, int64_t h) {
        at::Tensor rows = flat.index_select(0, index).to(in.q_THC.scalar_type());
        return rows.view({group.num_sequences, length, h, channels}).transpose(1, 2);
      };
      at::Tensor out = at::scaled_dot_product_attention(split(in.q_THC, group.query_token, group.query_length, heads),
                                                        split(keys, group.context_slots, group.key_length, kv_heads),
                                                        split(values, group.context_slots, group.key_length, kv_heads),
                                                        group.mask_S1QL, 0.0, false, std::nullopt, heads != kv_heads);
      outputs.push_back(out.transpose(1, 2).reshape({-1, heads, channels}));
    }
    at::Tensor all = outputs.size() == 1 ? outputs[0] : at::cat(outputs, 0);
    return all.index_select(0, output_of_token_);
  }

 private:
  at::Tensor slot_mapping_T_;
  std::vector<AttentionGroup> groups_;
  at::Tensor output_of_token_;  // int64 [T]: row of the concatenated groups' outputs
};

}  // namespace

std::unique_ptr<AttentionPlan> plan_attention(const AttentionMetadata& metadata, at::Device device) {
  return std::make_unique<PaddedAttention>(metadata, device);
}

}  // namespace sf::reference
