// Engines whose decoder mixes dense and routed layers and takes in features of the vision encoder: every promise of an
// all-routed model holds, and counts are of the layers that route.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "engine/explain/overlay.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

using test::answer_alone;
using test::ask;
using test::Outcome;

constexpr double kVisibleDifference = 1e-3;  // of a log-probability: ten times what rounding makes

ModelConfig mixed_config(std::vector<int> dense_layers) {
  ModelConfig config = test::tiny_config();
  config.vision.num_layers = 2;
  config.vision.deepstack_layers = {0, 1};
  config.decoder.num_layers = 3;
  config.decoder.dense_layers = std::move(dense_layers);
  config.decoder.dense_hidden = 24;
  return config;
}

std::shared_ptr<Vlm> mixed_vlm(const ModelConfig& config) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(17);
  auto vlm = std::make_shared<Vlm>(parse_model_config(to_json(config)));
  for (auto& item : vlm->named_parameters()) {
    if (item.key().find("router") != std::string::npos) torch::nn::init::normal_(item.value(), 0, 0.3);
    if (item.key().find("attention") != std::string::npos && item.value().dim() == 2) item.value().mul_(2);
    if (item.key().find("experts") != std::string::npos || item.key().find("mlp") != std::string::npos)
      item.value().mul_(2);
  }
  vlm->eval();
  return vlm;
}

// The model with its middle layer dense, and one without any experts.
class MixedLayersTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    mixed_ = new test::TempFolder;
    dense_ = new test::TempFolder;
    test::write_checkpoint_of(*mixed_vlm(mixed_config({1})), mixed_->path());
    test::write_checkpoint_of(*mixed_vlm(mixed_config({0, 1, 2})), dense_->path());
  }
  static void TearDownTestSuite() {
    delete mixed_;
    delete dense_;
  }

  static std::unique_ptr<Engine> engine(const test::TempFolder* folder, bool prefix_cache = false,
                                        const char* mode = "account") {
    TorchEngineOptions options;
    options.device = "cpu";
    options.threads = 1;
    options.kv_cache_mib = 1;
    options.prefix_cache = prefix_cache;
    options.capacity_mode = mode;
    options.capacity_factor = 0.5;
    return make_torch_engine(open_checkpoint(folder->path()), options);
  }

  // All at once, one more joining every step, in chunks of 20 tokens.
  static std::vector<Outcome> together(Engine& engine, int count) {
    std::vector<Outcome> out(count);
    std::vector<SequenceId> ids;
    std::vector<bool> running(count, true);
    for (int i = 0; i < count; ++i) ids.push_back(engine.admit(engine.prepare(ask(i, i)), {}));
    for (int step = 0; std::find(running.begin(), running.end(), true) != running.end(); ++step) {
      StepPlan plan;
      std::vector<int> who;
      for (int i = 0; i <= std::min(step, count - 1); ++i) {
        if (!running[i]) continue;
        plan.items.push_back({ids[i], std::min(20, engine.tokens_to_compute(ids[i]))});
        who.push_back(i);
      }
      const StepResult result = engine.step(plan);
      for (size_t i = 0; i < who.size(); ++i) running[who[i]] = out[who[i]].take(result.sequences[i]);
    }
    for (SequenceId id : ids) engine.release(id);
    return out;
  }

  static inline test::TempFolder *mixed_ = nullptr, *dense_ = nullptr;
};

TEST_F(MixedLayersTest, ChunksBatchMatesAndTheCacheChangeNothing) {
  for (const test::TempFolder* folder : {mixed_, dense_}) {
    for (const char* mode : {"account", "strict"}) {
      const auto cold = engine(folder, false, mode), warm = engine(folder, true, mode);
      const std::vector<Outcome> batch = together(*cold, 4);
      for (int i = 0; i < 4; ++i) {
        const Outcome alone = answer_alone(*cold, ask(i, i));
        test::expect_same(batch[i], alone);
        for (int chunk : {1, 7, 33}) test::expect_same(answer_alone(*cold, ask(i, i), {}, chunk), alone);
        answer_alone(*warm, ask(i, (i + 1) % 4));
        const Outcome cached = answer_alone(*warm, ask(i, i));
        EXPECT_GE(cached.cached, 36u);
        test::expect_same(cached, alone);
      }
    }
  }
}

// The forward pass of training with the images' parts put together by hand.
TEST_F(MixedLayersTest, TheEngineInjectsWhatTrainingInjects) {
  torch::NoGradGuard no_grad;
  const auto vlm = mixed_vlm(mixed_config({1}));
  const auto cold = engine(mixed_);
  const auto prompt = PromptMaker(load_sentencepiece(test::tiny_tokenizer_model()), vlm->config(), {}).make(ask(3, 2));
  const PixelValues& values = prompt->pixels[0];
  const int64_t cell = vlm->config().image.cell_size, images = prompt->num_image_tokens(),
                tokens = prompt->num_tokens();
  std::vector<at::Tensor> deepstack;
  at::Tensor pixels = torch::tensor(values.values).view({1, 3, values.grid.rows * cell, values.grid.columns * cell});
  at::Tensor vision =
      vlm->vit().encode(pixels, {{values.left, values.top, values.width, values.height}}, nullptr, &deepstack);
  ASSERT_EQ(deepstack.size(), 2u);
  at::Tensor image_PM = vlm->project(vision, deepstack, 2 * values.grid.rows, 2 * values.grid.columns)[0];
  ASSERT_EQ(image_PM.size(1), 3 * vlm->config().decoder.width);
  at::Tensor ids = torch::tensor(std::vector<int64_t>(prompt->tokens.ids.begin(), prompt->tokens.ids.end()));
  const auto logprob_with = [&](double factor, int token) {
    DecoderInput input;
    input.x_TD = at::cat({vlm->embedded(image_PM), vlm->embed_text(ids.slice(0, images))});
    input.injected_TI =
        at::cat({vlm->injected(image_PM) * factor, at::zeros({tokens - images, 2 * vlm->config().decoder.width})});
    input.positions_T = at::arange(tokens);
    PackedAttention attention(at::full({1, tokens, tokens}, -std::numeric_limits<float>::infinity()).triu(1));
    at::Tensor hidden = vlm->decoder().forward(input, attention);
    return at::log_softmax(vlm->decoder().logits(hidden.narrow(0, tokens - 1, 1)), 1)[0][token].item<double>();
  };
  const Outcome answer = answer_alone(*cold, ask(3, 2));
  EXPECT_NEAR(logprob_with(1, answer.tokens[0]), answer.logprobs[0], test::kLogprobTolerance);
  EXPECT_GT(std::abs(logprob_with(0, answer.tokens[0]) - answer.logprobs[0]), kVisibleDifference);
}

TEST_F(MixedLayersTest, ADenseLayerHasNoCounts) {
  const auto mixed = engine(mixed_);
  EXPECT_EQ(mixed->info().dense_layers, std::vector<int>{1});
  const SequenceId id = mixed->admit(mixed->prepare(ask(1, 1)), {});
  const int tokens = mixed->tokens_to_compute(id);
  const StepResult step = mixed->step({{{id, tokens}}});
  const size_t row = size_t(mixed->info().num_experts) * kNumModalities;
  ASSERT_EQ(step.moe.num_layers, 3);
  ASSERT_EQ(step.moe.tokens.size(), 3 * row);
  for (size_t layer : {0, 1, 2}) {
    const uint32_t total =
        std::accumulate(step.moe.tokens.begin() + layer * row, step.moe.tokens.begin() + (layer + 1) * row, 0u);
    EXPECT_EQ(total, layer == 1 ? 0u : 2u * tokens) << layer;
    EXPECT_EQ(step.moe.routed_tokens[layer], layer == 1 ? 0u : uint32_t(tokens)) << layer;
    EXPECT_EQ(step.moe.capacity_tokens[layer] > 0, layer != 1) << layer;
    EXPECT_EQ(step.moe.entropy_sum_nats[layer] > 0, layer != 1) << layer;
  }
  EXPECT_EQ(step.sequences[0].assigned_tokens, 2u * 2u * tokens);
  mixed->release(id);
}

TEST_F(MixedLayersTest, TheRecordIsOfTheRoutedLayersAndReplays) {
  const auto cold = engine(mixed_), warm = engine(mixed_, true);
  const auto recorded = [](Engine& engine, const SamplingParams& sampling, Outcome& out) {
    const SequenceId id = engine.admit(engine.prepare(ask(2, 7)), sampling);
    while (out.take(engine.step({{{id, std::min(20, engine.tokens_to_compute(id))}}}).sequences[0])) {
    }
    RoutingRecord record = engine.routing_record(id);
    engine.release(id);
    return record;
  };
  Outcome first, again, other, cached;
  const RoutingRecord record = recorded(*cold, {}, first);
  EXPECT_EQ(record.num_layers, 2);
  EXPECT_EQ(record.num_tokens(), cold->prepare(ask(2, 7))->num_tokens() + int(first.tokens.size()) - 1);
  const RoutingRecord replayed =
      recorded(*cold, {.replay_routing = std::make_shared<const RoutingRecord>(record)}, again);
  test::expect_same(again, first);
  EXPECT_EQ(replayed.ids, record.ids);
  // Each layer is forced by its own row: other experts in the last layer alone leave the first one's record as it was.
  RoutingRecord shifted = record;
  for (size_t i = 0; i < shifted.ids.size(); ++i)
    shifted.ids[i] = i / 2 % 2 == 1 ? (shifted.ids[i] + 1) % 4 : shifted.ids[i];
  const RoutingRecord forced =
      recorded(*cold, {.replay_routing = std::make_shared<const RoutingRecord>(shifted)}, other);
  for (size_t i = 0; i < std::min(forced.ids.size(), shifted.ids.size()); ++i)
    ASSERT_EQ(forced.ids[i], shifted.ids[i]) << i;
  EXPECT_GT(std::abs(other.logprobs[0] - first.logprobs[0]), kVisibleDifference);
  answer_alone(*warm, ask(2, 3));
  EXPECT_EQ(recorded(*warm, {}, cached).ids, record.ids);
  EXPECT_GE(cached.cached, 36u);
  // A record with a row for the dense layer too is another model's.
  RoutingRecord three = record;
  three.num_layers = 3;
  EXPECT_THROW(cold->admit(cold->prepare(ask(2, 7)), {.replay_routing = std::make_shared<const RoutingRecord>(three)}),
               Error);
}

TEST_F(MixedLayersTest, ExplanationsLeaveTheDenseLayersOut) {
  const auto mixed = engine(mixed_), all_dense = engine(dense_);
  for (const auto* explained : {&mixed, &all_dense}) {
    Engine& engine = **explained;
    const bool none_routes = engine.info().num_routed_layers() == 0;
    const PreparedPromptPtr prompt = engine.prepare(ask(5, 3, 90, 70));
    const Outcome served = answer_alone(engine, ask(5, 3, 90, 70));
    for (HeatmapMethod method : kHeatmapMethods) {
      const Explanation e = engine.explain(*prompt, {}, {.method = method, .max_tokens = 4}, [] {});
      ASSERT_FALSE(e.tokens.empty());
      for (size_t i = 0; i < e.tokens.size(); ++i) {
        EXPECT_EQ(e.tokens[i].id, served.tokens[i]);
        EXPECT_NEAR(e.tokens[i].logprob, served.logprobs[i], test::kLogprobTolerance);
        EXPECT_NEAR(std::accumulate(e.tokens[i].heatmap.begin(), e.tokens[i].heatmap.end(), 0.0), 1, 1e-5);
      }
      for (const TokenRouting& token : e.routing) {
        ASSERT_EQ(token.ids.size(), 3u);
        for (size_t layer : {0, 1, 2}) {
          const size_t chosen = none_routes || layer == 1 ? 0 : 2;
          ASSERT_EQ(token.ids[layer].size(), chosen);
          ASSERT_EQ(token.gates[layer].size(), chosen);
        }
      }
      EXPECT_EQ(e.logit_lens.size(), e.tokens.size() * 3);
      const Image image{90, 70, std::vector<uint8_t>(90 * 70 * 3, 64)};
      EXPECT_GT(expert_overlay(image, e, {}).width, 0);
      EXPECT_GT(expert_usage_map(e).width, 0);
    }
  }
}

TEST_F(MixedLayersTest, AModelWithoutExpertsAnswers) {
  const auto dense = engine(dense_, true);
  dense->warm_up();
  EXPECT_EQ(dense->info().num_parameters, dense->info().num_active_parameters);
  const Outcome answer = answer_alone(*dense, ask(1, 1));
  EXPECT_FALSE(answer.tokens.empty());
  EXPECT_EQ(answer.assigned.back(), 0u);
  const SequenceId id = dense->admit(dense->prepare(ask(2, 1)), {});
  const StepResult step = dense->step({{{id, 5}}});  // nothing is sampled either
  EXPECT_EQ(std::accumulate(step.moe.tokens.begin(), step.moe.tokens.end(), 0u), 0u);
  const RoutingRecord record = dense->routing_record(id);
  EXPECT_EQ(record.num_tokens(), 0);
  dense->release(id);
  EXPECT_THROW(
      dense->admit(dense->prepare(ask(2, 1)), {.replay_routing = std::make_shared<const RoutingRecord>(record)}),
      Error);
}

}  // namespace
}  // namespace sf
