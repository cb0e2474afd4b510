#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/kernels/ops.h"

namespace sf {
namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kChannels = 8;
constexpr int kPageSize = 4, kPages = 16;

// One sequence's share of a step: the last `queries` of `context` tokens, on pages in any order.
struct Share {
  int queries, context;
  std::vector<int> pages;
};

int64_t slot_of(const Share& share, int position) {
  return int64_t{share.pages[position / kPageSize]} * kPageSize + position % kPageSize;
}

AttentionMetadata metadata_of(const std::vector<Share>& shares) {
  AttentionMetadata metadata;
  metadata.page_size = kPageSize;
  metadata.block_table_SB = at::full({int64_t(shares.size()), 4}, 999, at::kInt);  // read no further than the context
  std::vector<int> context_lens, cu_query_lens = {0};
  std::vector<int64_t> slots;
  for (size_t s = 0; s < shares.size(); ++s) {
    for (size_t b = 0; b < shares[s].pages.size(); ++b)
      metadata.block_table_SB[int64_t(s)][int64_t(b)] = shares[s].pages[b];
    context_lens.push_back(shares[s].context);
    cu_query_lens.push_back(cu_query_lens.back() + shares[s].queries);
    for (int i = shares[s].context - shares[s].queries; i < shares[s].context; ++i)
      slots.push_back(slot_of(shares[s], i));
    metadata.max_query_len = std::max<int64_t>(metadata.max_query_len, shares[s].queries);
    metadata.max_context_len = std::max<int64_t>(metadata.max_context_len, shares[s].context);
  }
  metadata.context_lens_S = torch::tensor(context_lens, at::kInt);
  metadata.cu_query_lens_S1 = torch::tensor(cu_query_lens, at::kInt);
  metadata.slot_mapping_T = torch::tensor(slots, at::kLong);
  return metadata;
}

// By the definition: one query at a time.
at::Tensor attended(const at::Tensor& q_HC, const at::Tensor& keys_LGC, const at::Tensor& values_LGC) {
  const at::Tensor k = keys_LGC.repeat_interleave(kHeads / kKvHeads, 1),
                   v = values_LGC.repeat_interleave(kHeads / kKvHeads, 1);
  const at::Tensor weights_LH = at::softmax((k * q_HC).sum(2) / std::sqrt(double(kChannels)), 0);
  return (v * weights_LH.unsqueeze(2)).sum(0);
}

TEST(PagedAttentionTest, EveryTokenAttendsToItsOwnSequenceUpToItself) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  // Decoding sequences and prompts mixed: a whole prompt, a later chunk, single tokens, one on a page's first slot.
  const std::vector<Share> shares = {
      {1, 7, {9, 2}}, {5, 5, {0, 15}}, {1, 9, {7, 3, 11}}, {3, 10, {4, 8, 1}}, {1, 1, {13}}};
  const AttentionMetadata metadata = metadata_of(shares);
  const int64_t tokens = metadata.slot_mapping_T.size(0);
  at::Tensor keys = torch::randn({kPages * kPageSize, kKvHeads, kChannels}), values = torch::randn_like(keys);
  const at::Tensor keys_before = keys.clone();
  const at::Tensor q = torch::randn({tokens, kHeads, kChannels}), k = torch::randn({tokens, kKvHeads, kChannels}),
                   v = torch::randn({tokens, kKvHeads, kChannels});
  const Ops& ops = ops_for(at::kCPU);
  const at::Tensor out = ops.plan_attention(metadata, at::kCPU)->run({q, k, v, keys, values});
  ASSERT_EQ(out.sizes(), q.sizes());
  EXPECT_TRUE(keys.index_select(0, metadata.slot_mapping_T).equal(k));
  EXPECT_TRUE(values.index_select(0, metadata.slot_mapping_T).equal(v));
  EXPECT_EQ(keys.ne(keys_before).any(2).any(1).sum().item<int64_t>(), tokens) << "no other slot is written";
  int64_t token = 0;
  for (const Share& share : shares) {
    for (int i = share.context - share.queries; i < share.context; ++i, ++token) {
      std::vector<int64_t> slots;
      for (int j = 0; j <= i; ++j) slots.push_back(slot_of(share, j));
      const at::Tensor index = torch::tensor(slots, at::kLong);
      const at::Tensor expected = attended(q[token], keys.index_select(0, index), values.index_select(0, index));
      EXPECT_TRUE(at::allclose(out[token], expected, 1e-4, 1e-5)) << "token " << token;
    }
  }
}

// What is kept in bf16 is read as it was rounded, also by the tokens of the same step: a prompt in chunks is the same.
TEST(PagedAttentionTest, PagesOfAnotherTypeAreReadAsRounded) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  const AttentionMetadata metadata = metadata_of({{1, 7, {9, 2}}, {5, 5, {0, 15}}});
  const at::Tensor q = torch::randn({6, kHeads, kChannels}), k = torch::randn({6, kKvHeads, kChannels}),
                   v = torch::randn({6, kKvHeads, kChannels});
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    at::Tensor keys = torch::randn({kPages * kPageSize, kKvHeads, kChannels}).to(type),
               values = torch::randn({kPages * kPageSize, kKvHeads, kChannels}).to(type);
    at::Tensor wide_keys = keys.to(at::kFloat), wide_values = values.to(at::kFloat);
    const auto plan = ops_for(at::kCPU).plan_attention(metadata, at::kCPU);
    const at::Tensor out = plan->run({q, k, v, keys, values});
    EXPECT_EQ(out.scalar_type(), at::kFloat);
    EXPECT_TRUE(keys.index_select(0, metadata.slot_mapping_T).equal(k.to(type)));
    const at::Tensor rounded_k = k.to(type).to(at::kFloat), rounded_v = v.to(type).to(at::kFloat);
    EXPECT_TRUE(out.equal(plan->run({q, rounded_k, rounded_v, wide_keys, wide_values}))) << type;
  }
}

}  // namespace
}  // namespace sf
