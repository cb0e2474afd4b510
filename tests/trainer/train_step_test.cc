#include "trainer/train_step.h"

#include <gtest/gtest.h>

#include "engine/runtime/prompt_maker.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"
#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"

namespace sf {
namespace {

// The heads of Sort-of-CLEVR.
AuxiliaryHeads heads_of(const ModelConfig& config, const Tokenizer& tokenizer) {
  return AuxiliaryHeads(config, *make_sort_of_clevr_task({}), tokenizer);
}

PackedBatch two_images(const ModelConfig& config, const Tokenizer& tokenizer) {
  data::SampleOptions options;
  options.pre = preprocess_options(config.image);
  options.min_objects = 3;
  data::Rng rng(10);
  const GridSize grid = data::draw_grid(rng, options);
  std::vector<Example> examples;
  for (int i = 0; i < 2; ++i) {
    const data::Sample sample = data::make_sample(rng, grid, options);
    data::QuestionMix mix;
    mix.count = 3 + i;
    examples.push_back(example_of(sample, data::sample_questions(rng, sample.scene, mix), config.image.cell_size, 0));
  }
  return packed_batch(examples, tokenizer, {.num_words = data::kNumColours + data::kNumShapes});
}

// `more` columns of padding at every row's end.
PackedBatch padded(const PackedBatch& batch, int64_t more) {
  const int64_t length = batch.ids_BL.size(1);
  auto moved = [&](const at::Tensor& flat) {
    return at::floor_divide(flat, length) * (length + more) + flat.remainder(length);
  };
  PackedBatch out = batch;
  out.ids_BL = at::constant_pad_nd(batch.ids_BL, {0, more}, 7);
  out.positions_BL = at::constant_pad_nd(batch.positions_BL, {0, more}, 3);
  out.mask_BLL = at::constant_pad_nd(batch.mask_BLL, {0, more, 0, more}, -std::numeric_limits<float>::infinity());
  out.mask_BLL.diagonal(0, 1, 2).fill_(0);
  out.real_tokens = moved(batch.real_tokens);
  out.loss_index = moved(batch.loss_index);
  return out;
}

// Noise is drawn for real tokens only, so the same seed gives the same noise however much padding there is.
TEST(ForwardLossesTest, PaddingTakesNoPartInCountsLossesOrCapacity) {
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const PackedBatch batch = two_images(vlm->config(), *tokenizer);
  const AuxiliaryHeads heads = heads_of(vlm->config(), *tokenizer);
  LossOptions options;
  options.capacity_factor = 1.0;
  options.importance = options.load = options.modality = 0.1;
  auto report_of = [&](const PackedBatch& given) {
    torch::manual_seed(3);
    vlm->train();
    return forward_losses(*vlm, given, &heads, options).report;
  };
  const StepReport plain = report_of(batch);
  EXPECT_GT(plain.layers[0].dropped, 0);
  for (int64_t more : {1, 40}) {
    const StepReport report = report_of(padded(batch, more));
    EXPECT_EQ(report.tokens, plain.tokens);
    for (size_t layer = 0; layer < plain.layers.size(); ++layer) {
      EXPECT_EQ(report.layers[layer].expert_tokens, plain.layers[layer].expert_tokens);
      EXPECT_EQ(report.layers[layer].assignments, plain.layers[layer].assignments);
      EXPECT_EQ(report.layers[layer].dropped, plain.layers[layer].dropped);
    }
    constexpr double kTolerance = 1e-4;  // f32, other shapes of the same products
    EXPECT_NEAR(report.loss, plain.loss, kTolerance * plain.loss);
    EXPECT_NEAR(report.balance, plain.balance, kTolerance);
    EXPECT_NEAR(report.router_z, plain.router_z, kTolerance);
    EXPECT_NEAR(report.importance, plain.importance, kTolerance);
    EXPECT_NEAR(report.load, plain.load, kTolerance);
    EXPECT_NEAR(report.modality, plain.modality, kTolerance);
  }
}

TEST(ForwardLossesTest, TheTotalIsTheWeighedSumOfItsParts) {
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const PackedBatch batch = two_images(vlm->config(), *tokenizer);
  const LossOptions options{.balance = 0.5,
                            .router_z = 0.25,
                            .importance = 3,
                            .load = 4,
                            .modality = 5,
                            .local_entropy = 6,
                            .global_entropy = 7,
                            .alignment = 2,
                            .dense = 0};
  vlm->train();
  const AuxiliaryHeads heads = heads_of(vlm->config(), *tokenizer);
  const StepReport r = forward_losses(*vlm, batch, &heads, options).report;
  const double sum = r.answer + 0.5 * r.balance + 0.25 * r.router_z + 2 * r.alignment + 3 * r.importance + 4 * r.load +
                     5 * r.modality + 6 * r.local_entropy + 7 * r.global_entropy;
  EXPECT_NEAR(r.loss, sum, 1e-5 * sum);
  for (double part : {r.importance, r.load, r.modality, r.local_entropy}) EXPECT_GT(part, 0);
}

// A task that knows nothing of its images: no alignment loss, which would teach that nothing is anywhere.
TEST(ForwardLossesTest, WithoutObjectWordsThereIsNoAlignmentLoss) {
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const PackedBatch batch = two_images(vlm->config(), *tokenizer);
  vlm->train();
  const StepReport r = forward_losses(*vlm, batch, nullptr, {.balance = 0, .router_z = 0}).report;
  EXPECT_EQ(r.alignment, 0);
  EXPECT_EQ(r.dense, 0);
  EXPECT_NEAR(r.loss, r.answer, 1e-6 * r.answer);
}

TEST(ForwardLossesTest, LimoesTwoEntropiesAreWeighedApart) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  ModelConfig config = test::tiny_config();
  config.decoder.moe.num_experts = 2;  // of which each modality is to use both, so that the global loss is above 0
  torch::manual_seed(4);
  const auto vlm = std::make_shared<Vlm>(config);
  vlm->eval();
  torch::NoGradGuard no_grad;
  for (auto& item : vlm->named_parameters()) {
    if (item.key().find("router") != std::string::npos) item.value().normal_();
  }
  const PackedBatch batch = two_images(vlm->config(), *tokenizer);
  const auto report_of = [&](double local, double global) {
    const LossOptions options{
        .balance = 0, .router_z = 0, .local_entropy = local, .global_entropy = global, .dense = 0};
    const AuxiliaryHeads heads = heads_of(vlm->config(), *tokenizer);
    return forward_losses(*vlm, batch, &heads, options).report;
  };
  const StepReport none = report_of(0, 0), local = report_of(2, 0), both = report_of(2, 3);
  EXPECT_EQ(none.local_entropy, 0);
  EXPECT_EQ(local.global_entropy, 0);
  EXPECT_GT(local.local_entropy, 0);
  EXPECT_GT(both.global_entropy, 1e-3);
  EXPECT_NEAR(local.loss - none.loss, 2 * local.local_entropy, 1e-5);
  EXPECT_NEAR(both.loss - local.loss, 3 * both.global_entropy, 1e-5);
}

// Gradients reach the dense MLP and every projector of injected features; balance is of the routed layer alone.
TEST(ForwardLossesTest, DenseLayersAndInjectedFeaturesAreTrained) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  ModelConfig config = test::tiny_config();
  config.vision.deepstack_layers = {0};
  config.decoder.dense_layers = {0};
  config.decoder.dense_hidden = 24;
  config.decoder.moe.bias_balancing = true;
  for (const bool routed : {true, false}) {
    if (!routed) config.decoder.dense_layers = {0, 1};
    torch::manual_seed(5);
    auto vlm = std::make_shared<Vlm>(parse_model_config(to_json(config)));
    vlm->train();
    const PackedBatch batch = two_images(vlm->config(), *tokenizer);
    const AuxiliaryHeads heads = heads_of(vlm->config(), *tokenizer);
    const Losses losses = forward_losses(*vlm, batch, &heads, {.importance = 0.1, .dense = 0});
    losses.total.backward();
    for (const auto& item : vlm->named_parameters()) {
      if (item.key().find(".mlp.") == std::string::npos && item.key().find("deepstack") == std::string::npos) continue;
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_GT(item.value().grad().abs().sum().item<double>(), 0) << item.key();
    }
    EXPECT_EQ(losses.report.layers.size(), routed ? 1u : 0u);
    EXPECT_EQ(vlm->balance_biases().size(), routed ? 1u : 0u);
    EXPECT_TRUE(std::isfinite(losses.report.loss));
    if (!routed) {
      EXPECT_EQ(losses.report.balance, 0);
      continue;
    }
    EXPECT_EQ(losses.report.layers[0].layer, 1);
    EXPECT_GT(losses.report.balance, 0);
    step_balance_biases(vlm->balance_biases(), losses.report.layers, 1e-3);
    EXPECT_GT(vlm->named_parameters()["decoder.block1.moe.router.balance_bias"].abs().sum().item<double>(), 0);
  }
}

}  // namespace
}  // namespace sf
