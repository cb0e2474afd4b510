// Every kind of model is explained as it is served: class tokens, 2-D positions, capacity that drops.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/runtime/torch_engine.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr double kServedTolerance = 1e-4;  // of log-probabilities: f32, other shapes round differently

struct ExplainedVariant {
  const char* name;
  ProjectorKind projector;
  VisionFeatures features;
  RopeKind rope;
  const char* capacity_mode;
};

class ExplainModelsTest : public testing::TestWithParam<ExplainedVariant> {
 protected:
  void write_variant(const std::filesystem::path& folder) {
    torch::NoGradGuard no_grad;
    torch::manual_seed(21);
    ModelConfig config = test::tiny_config();
    set_projector(config, GetParam().projector);
    config.image.max_cells = std::min(config.image.max_cells, 36);
    config.image.max_side_cells = std::min(config.image.max_side_cells, 12);
    config.vision.class_token = GetParam().features != VisionFeatures::kPatches;
    config.vision.features = GetParam().features;
    config.image.max_images = 2;
    config.decoder.rope = GetParam().rope;
    config.decoder.rope_fraction = 1;
    const auto vlm = std::make_shared<Vlm>(config);
    for (auto& item : vlm->named_parameters()) {
      if (item.key().find("router") != std::string::npos) torch::nn::init::normal_(item.value(), 0, 0.3);
      if (item.key().find("attention") != std::string::npos && item.value().dim() == 2) item.value().mul_(2);
    }
    vlm->eval();
    test::write_checkpoint_of(*vlm, folder);
  }

  // Ids, log-probabilities, and a heatmap over a whole grid.
  void expect_explained_as_served(Engine& engine, const PreparedPromptPtr& prompt) const {
    const SequenceId id = engine.admit(prompt, {});
    for (HeatmapMethod method : kHeatmapMethods) {
      const Explanation e = engine.explain(*prompt, {}, {.method = method, .max_tokens = 6}, [] {});
      ASSERT_FALSE(e.tokens.empty());
      EXPECT_GT(e.rows * e.columns, 1);
      int image_tokens = 0;
      for (const TokenRouting& token : e.routing) image_tokens += token.image;
      EXPECT_EQ(image_tokens, prompt->num_image_tokens());
      for (const ExplainedToken& token : e.tokens) {
        ASSERT_EQ(token.heatmap.size(), size_t(e.rows) * e.columns);
        EXPECT_NEAR(std::accumulate(token.heatmap.begin(), token.heatmap.end(), 0.0), 1, 1e-5);
      }
      // Only the attention of a decoder whose one image token is the class token says nothing of a place.
      const auto [least, most] = std::minmax_element(e.tokens[0].heatmap.begin(), e.tokens[0].heatmap.end());
      const bool placeless = method == HeatmapMethod::kAttention && GetParam().features == VisionFeatures::kClass;
      EXPECT_EQ(*least == *most, placeless) << heatmap_method_name(method);
      if (method != HeatmapMethod::kRelevancy) continue;
      for (const ExplainedToken& token : e.tokens) {
        const SequenceStepResult out = engine.step({{{id, engine.tokens_to_compute(id)}}}).sequences.at(0);
        ASSERT_EQ(out.tokens.size(), 1u);
        EXPECT_EQ(token.id, out.tokens[0]);
        EXPECT_NEAR(token.logprob, out.logprobs[0], kServedTolerance);
      }
    }
    engine.release(id);
  }
};

// Of several images the last one.
TEST_P(ExplainModelsTest, AnswersAsTheEngineDoesAndMapsTheLastImage) {
  test::TempFolder folder;
  write_variant(folder.path());
  TorchEngineOptions options;
  options.threads = 1;
  options.kv_cache_mib = 1;
  options.capacity_mode = GetParam().capacity_mode;
  const auto engine = make_torch_engine(open_checkpoint(folder.path()), options);
  Message asked{"user",
                {{Part::Kind::kImage, test::random_image(5, 90, 70)}, {Part::Kind::kText, "describe the picture"}}};
  expect_explained_as_served(*engine, engine->prepare({asked}));
  asked.parts.insert(asked.parts.begin(), {Part::Kind::kImage, test::random_image(6, 60, 120)});
  const PreparedPromptPtr two = engine->prepare({asked});
  expect_explained_as_served(*engine, two);
  const Explanation e = engine->explain(*two, {}, {.method = HeatmapMethod::kAttention}, [] {});
  EXPECT_GT(e.columns, e.rows);
  EXPECT_EQ(e.image.width, 90);
  EXPECT_EQ(e.image.height, 70);
}

INSTANTIATE_TEST_SUITE_P(Variants, ExplainModelsTest,
                         testing::Values(ExplainedVariant{"Strict", ProjectorKind::kShuffle2, VisionFeatures::kPatches,
                                                          RopeKind::k1d, "strict"},
                                         ExplainedVariant{"ClassAndPatches", ProjectorKind::kMlp, VisionFeatures::kAll,
                                                          RopeKind::k1d, "account"},
                                         ExplainedVariant{"ClassAlone", ProjectorKind::kCls, VisionFeatures::kClass,
                                                          RopeKind::k1d, "account"},
                                         ExplainedVariant{"TwoDimensionalPositions", ProjectorKind::kShuffle2,
                                                          VisionFeatures::kPatches, RopeKind::kMrope2d, "account"}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sf
