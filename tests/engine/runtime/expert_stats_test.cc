// The counts of a step against a count by hand, token by token.
#include "engine/runtime/expert_stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/base/error.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/model/dispatch.h"
#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/answers.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr int kLayers = 2, kExperts = 4, kTopK = 2;
constexpr double kFactor = 0.5;  // windows of 32 tokens hold 8 of an expert; an even load is 16
constexpr int kWindowCapacity = 8;

DecoderConfig stats_config() {
  DecoderConfig config;
  config.num_layers = kLayers;
  config.moe.num_experts = kExperts;
  config.moe.top_k = kTopK;
  return config;
}

// A sequence's routing, drawn once: whatever the steps, a token is routed as it is.
struct Routed {
  explicit Routed(int tokens) {
    for (int layer = 0; layer < kLayers; ++layer) {
      logits.push_back(torch::randn({tokens, kExperts}) * 2);
      ids.push_back(std::get<1>(logits.back().topk(kTopK, 1)));
    }
    sequence.window = CapacityWindow(kLayers, kExperts);
  }
  int size() const { return static_cast<int>(ids[0].size(0)); }
  int expert(int layer, int token, int slot) const { return ids[layer][token][slot].item<int>(); }

  std::vector<at::Tensor> logits, ids;
  Sequence sequence;
};

struct Share {
  Routed* routed;
  int begin, count;
};

// The first 20 tokens of every sequence are its image.
int64_t modality_of(int token) { return token < 20 ? kImageModality : kTextModality; }

ExpertStats::HostStep run(const std::vector<Share>& shares) {
  Batch batch;
  ExpertStats stats(stats_config(), kFactor);
  for (const Share& share : shares) {
    batch.parts.push_back({&share.routed->sequence, share.begin, share.count});
    for (int i = 0; i < share.count; ++i) batch.modality.push_back(modality_of(share.begin + i));
  }
  for (int layer = 0; layer < kLayers; ++layer) {
    std::vector<at::Tensor> logits, ids;
    for (const Share& share : shares) {
      logits.push_back(share.routed->logits[layer].narrow(0, share.begin, share.count));
      ids.push_back(share.routed->ids[layer].narrow(0, share.begin, share.count));
    }
    Routing routing;
    routing.logits_TE = at::cat(logits);
    routing.probs_TE = at::softmax(routing.logits_TE, -1);
    routing.ids_TK = at::cat(ids);
    routing.gates_TK = routing.probs_TE.gather(1, routing.ids_TK);
    stats.on_routed(layer, routing, dispatch(routing, kExperts, 0));
  }
  return stats.finish(batch, nullptr);
}

uint32_t window_overflow(const Routed& routed, int begin, int end) {
  uint32_t overflow = 0;
  for (int layer = 0; layer < kLayers; ++layer) {
    std::vector<int> window(kExperts);
    for (int t = 0; t < end; ++t) {
      if (t % kCapacityWindow == 0) window.assign(kExperts, 0);
      for (int j = 0; j < kTopK; ++j) {
        if (++window[routed.expert(layer, t, j)] > kWindowCapacity && t >= begin) ++overflow;
      }
    }
  }
  return overflow;
}

size_t cell_of(int layer, int expert, int64_t modality) {
  return (size_t(layer) * kExperts + expert) * kNumModalities + modality;
}

TEST(ExpertStatsTest, CountsWhatACountByHandFinds) {
  torch::manual_seed(1);
  Routed a(70), b(45);
  const ExpertStats::HostStep step = run({{&a, 0, 70}, {&b, 0, 45}});
  std::vector<uint32_t> tokens(kLayers * kExperts * kNumModalities), overflow(tokens.size());
  std::vector<float> mass(tokens.size()), entropy(kLayers);
  const int64_t capacity = expert_capacity(70 + 45, kExperts, kTopK, kFactor);
  EXPECT_EQ(capacity, 29);  // ceil(2 * 115 / 4 * 0.5)
  for (int layer = 0; layer < kLayers; ++layer) {
    std::vector<int> load(kExperts);
    for (const Routed* routed : {&a, &b}) {
      const at::Tensor probs = at::softmax(routed->logits[layer], -1);
      for (int t = 0; t < routed->size(); ++t) {
        entropy[layer] -= (probs[t] * probs[t].log()).sum().item<float>();
        for (int j = 0; j < kTopK; ++j) {
          const int expert = routed->expert(layer, t, j);
          const size_t cell = cell_of(layer, expert, modality_of(t));
          ++tokens[cell];
          mass[cell] += probs[t][expert].item<float>();
          overflow[cell] += ++load[expert] > capacity;
        }
      }
    }
    EXPECT_NEAR(step.moe.entropy_sum_nats[layer], entropy[layer], 1e-2);  // a sum of 115 floats near 1
    EXPECT_EQ(step.moe.routed_tokens[layer], 115u);
    EXPECT_EQ(step.moe.capacity_tokens[layer], uint64_t(capacity) * kExperts);
  }
  EXPECT_EQ(step.moe.tokens, tokens);
  EXPECT_EQ(step.moe.overflow_step, overflow);
  for (size_t i = 0; i < mass.size(); ++i) EXPECT_NEAR(step.moe.gate_mass[i], mass[i], 1e-3);
  EXPECT_EQ(step.assigned, (std::vector<uint32_t>{70 * kTopK * kLayers, 45 * kTopK * kLayers}));
  EXPECT_EQ(step.overflow, (std::vector<uint32_t>{window_overflow(a, 0, 70), window_overflow(b, 0, 45)}));
  EXPECT_GT(step.overflow[0], 0u);
}

TEST(ExpertStatsTest, OverflowOfARequestDependsNeitherOnChunksNorOnMates) {
  torch::manual_seed(2);
  Routed wanted(90), mate(90);
  const uint32_t whole = window_overflow(wanted, 0, 90);
  ASSERT_GT(whole, 0u);
  for (int chunk : {1, 7, 16, 32, 33, 90}) {
    uint32_t alone = 0, together = 0;
    for (int begin = 0; begin < 90; begin += chunk) {
      const int count = std::min(chunk, 90 - begin);
      const uint32_t here = run({{&wanted, begin, count}}).overflow[0];
      EXPECT_EQ(here, window_overflow(wanted, begin, begin + count)) << "chunk " << chunk << " at " << begin;
      alone += here;
    }
    for (int begin = 0; begin < 90; begin += chunk) {
      const int count = std::min(chunk, 90 - begin);
      together += run({{&mate, begin, count}, {&wanted, begin, count}}).overflow[1];
    }
    EXPECT_EQ(alone, whole);
    EXPECT_EQ(together, whole) << "chunk " << chunk;
  }
}

TEST(ExpertStatsTest, WithoutACapacityNothingOverflows) {
  torch::manual_seed(3);
  Routed routed(40);
  Batch batch;
  batch.parts.push_back({&routed.sequence, 0, 40});
  batch.modality.assign(40, kTextModality);
  ExpertStats stats(stats_config(), 0);
  for (int layer = 0; layer < kLayers; ++layer) {
    Routing routing;
    routing.logits_TE = routed.logits[layer];
    routing.probs_TE = at::softmax(routed.logits[layer], -1);
    routing.ids_TK = at::zeros({40, kTopK}, at::kLong);
    routing.gates_TK = torch::ones({40, kTopK});
    stats.on_routed(layer, routing, dispatch(routing, kExperts, 0));
  }
  const ExpertStats::HostStep step = stats.finish(batch, nullptr);
  EXPECT_EQ(step.overflow[0], 0u);
  EXPECT_EQ(step.moe.capacity_tokens[0], 0u);
  EXPECT_EQ(step.moe.tokens[cell_of(0, 0, kTextModality)], 40u * kTopK);
}

TEST(ExpertStatsTest, BrokenNumbersOfOneTokenSpoilNoSum) {
  torch::manual_seed(4);
  Routed good(8), broken(8);
  for (at::Tensor& logits : broken.logits) logits.fill_(std::numeric_limits<float>::quiet_NaN());
  const ExpertStats::HostStep alone = run({{&good, 0, 8}}), both = run({{&good, 0, 8}, {&broken, 0, 8}});
  EXPECT_EQ(both.moe.gate_mass, alone.moe.gate_mass);
  EXPECT_EQ(both.moe.entropy_sum_nats, alone.moe.entropy_sum_nats);
  EXPECT_EQ(both.assigned[1], 8u * kTopK * kLayers);
}

TEST(ExpertStatsTest, AnEngineThatCountsNothingAnswersTheSame) {
  const test::TempFolder folder;
  test::write_tiny_checkpoint(folder.path(), 11);
  TorchEngineOptions options{.device = "cpu", .threads = 1, .kv_cache_mib = 1, .prefix_cache = false};
  const auto make = [&] { return make_torch_engine(open_checkpoint(folder.path()), options); };
  const auto counted = make();
  options.count_experts = false;
  const auto uncounted = make();
  const test::Outcome a = test::answer_alone(*counted, test::ask(1, 2)),
                      b = test::answer_alone(*uncounted, test::ask(1, 2));
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.logprobs, b.logprobs);
  EXPECT_GT(a.assigned.back(), 0u);
  EXPECT_EQ(b.assigned.back(), 0u);
  const SequenceId id = uncounted->admit(uncounted->prepare(test::ask(1, 2)), {});
  EXPECT_EQ(uncounted->step({{{id, 4}}}).moe.num_experts, 0);
  options.prefix_cache = true;
  EXPECT_THROW(make(), Error) << "what it shares has its routing with it";
}

}  // namespace
}  // namespace sf
