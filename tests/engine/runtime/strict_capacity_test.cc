// Strict capacity against a loop over one request's tokens, and whole engines that drop: the answer depends on the
// request alone.
#include "engine/runtime/strict_capacity.h"

#include <gtest/gtest.h>

#include "engine/runtime/expert_stats.h"

namespace sf {
namespace {

constexpr int kStrictLayers = 2, kStrictExperts = 4, kStrictTopK = 2;
constexpr double kStrictFactor = 0.5;  // C = 8 of a window of 32 tokens; an even load is 16
constexpr int kStrictCapacity = 8;

DecoderConfig strict_config() {
  DecoderConfig config;
  config.num_layers = kStrictLayers;
  config.moe.num_experts = kStrictExperts;
  config.moe.top_k = kStrictTopK;
  return config;
}

struct Request {
  explicit Request(int tokens) {
    for (int layer = 0; layer < kStrictLayers; ++layer) {
      logits.push_back(torch::randn({tokens, kStrictExperts}) * 2);
      ids.push_back(std::get<1>(logits.back().topk(kStrictTopK, 1)));
    }
    sequence.window = CapacityWindow(kStrictLayers, kStrictExperts);
  }

  // By the definition: tokens in order, windows from zero.
  at::Tensor expected(int layer) const {
    const int64_t tokens = ids[layer].size(0);
    at::Tensor kept = at::zeros({tokens, kStrictTopK}, at::kBool);
    std::vector<int> count(kStrictExperts);
    for (int64_t t = 0; t < tokens; ++t) {
      if (t % kCapacityWindow == 0) count.assign(kStrictExperts, 0);
      for (int64_t j = 0; j < kStrictTopK; ++j) {
        int& taken = count[ids[layer][t][j].item<int>()];
        if (taken < kStrictCapacity) {
          ++taken;
          kept[t][j] = true;
        }
      }
    }
    return kept;
  }

  std::vector<at::Tensor> logits, ids;
  Sequence sequence;
};

struct Chunk {
  Request* request;
  int begin, count;
};

// One step of the engine: what is kept, per layer, and the counters carried on.
std::vector<at::Tensor> step(const std::vector<Chunk>& chunks, std::vector<uint32_t>* overflow = nullptr) {
  Batch batch;
  for (const Chunk& chunk : chunks) {
    batch.parts.push_back({&chunk.request->sequence, chunk.begin, chunk.count});
    batch.modality.insert(batch.modality.end(), chunk.count, kTextModality);
  }
  StrictCapacity capacity(batch, strict_config(), kStrictFactor, at::kCPU);
  ExpertStats stats(strict_config(), kStrictFactor);
  std::vector<at::Tensor> kept;
  for (int layer = 0; layer < kStrictLayers; ++layer) {
    std::vector<at::Tensor> logits, ids;
    for (const Chunk& chunk : chunks) {
      logits.push_back(chunk.request->logits[layer].narrow(0, chunk.begin, chunk.count));
      ids.push_back(chunk.request->ids[layer].narrow(0, chunk.begin, chunk.count));
    }
    Routing routing;
    routing.logits_TE = at::cat(logits);
    routing.probs_TE = at::softmax(routing.logits_TE, -1);
    routing.ids_TK = at::cat(ids);
    routing.gates_TK = routing.probs_TE.gather(1, routing.ids_TK);
    kept.push_back(capacity.kept(layer, routing));
    stats.on_routed(layer, routing, dispatch(routing, kStrictExperts, kept.back()));
  }
  const ExpertStats::HostStep host = stats.finish(batch, nullptr);
  if (overflow) *overflow = host.overflow;
  return kept;
}

TEST(StrictCapacityTest, KeepsWhatTheDefinitionKeepsWhateverTheChunksAndMates) {
  torch::manual_seed(1);
  Request wanted(100), mate(100);
  ASSERT_FALSE(wanted.expected(0).all().item<bool>());
  for (int chunk : {1, 7, 16, 32, 33, 100}) {
    for (bool together : {false, true}) {
      std::vector<std::vector<at::Tensor>> pieces(kStrictLayers);
      uint32_t overflow = 0;
      for (int begin = 0; begin < 100; begin += chunk) {
        const int count = std::min(chunk, 100 - begin);
        std::vector<Chunk> chunks = {{&wanted, begin, count}};
        if (together) chunks.insert(chunks.begin(), {&mate, begin, count});
        std::vector<uint32_t> host;
        const auto kept = step(chunks, &host);
        overflow += host.back();
        for (int layer = 0; layer < kStrictLayers; ++layer)
          pieces[layer].push_back(kept[layer].narrow(0, together ? count : 0, count));
      }
      int64_t dropped = 0;
      for (int layer = 0; layer < kStrictLayers; ++layer) {
        EXPECT_TRUE(at::cat(pieces[layer]).equal(wanted.expected(layer)))
            << "chunk " << chunk << " together " << together;
        dropped += wanted.expected(layer).logical_not().sum().item<int64_t>();
      }
      EXPECT_EQ(overflow, dropped) << "chunk " << chunk;  // a drop is an overflow of scope `request`
    }
  }
}

TEST(StrictCapacityTest, WithoutALimitNothingIsDropped) {
  Request request(40);
  Batch batch;
  batch.parts.push_back({&request.sequence, 0, 40});
  Routing routing;
  routing.ids_TK = request.ids[0];
  EXPECT_FALSE(StrictCapacity(batch, strict_config(), 0, at::kCPU).kept(0, routing).defined());
}

}  // namespace
}  // namespace sf
