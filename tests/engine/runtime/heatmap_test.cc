// The walk through attention maps, on maps small enough to work out by hand.
#include "engine/runtime/explain/heatmap.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace sf {
namespace {

constexpr double kMapTolerance = 1e-6;

void expect_maps_near(const at::Tensor& actual, const at::Tensor& expected) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_LT((actual - expected).abs().max().item<double>(), kMapTolerance) << actual << "\nexpected " << expected;
}

TEST(HeatmapTest, ARolloutStepIsTheMeanHeadWithTheResidualAndRowsSumToOne) {
  const at::Tensor heads = torch::tensor({{{1.0f, 0.0f}, {0.5f, 0.5f}}, {{1.0f, 0.0f}, {1.0f, 0.0f}}});
  expect_maps_near(rollout_step(heads), torch::tensor({{1.0f, 0.0f}, {0.375f, 0.625f}}));
  expect_maps_near(rollout_step(heads.mean(0)), rollout_step(heads));
}

TEST(HeatmapTest, RolloutOfTwoLayersByHand) {
  // The first layer's token 1 looks at token 0 only, the second layer's token 2 at token 1 only. With the residual:
  // half of token 2 stays, a half goes to token 1, of which again a half goes to token 0.
  const at::Tensor first = torch::tensor({{1.0f, 0.0f, 0.0f}, {1.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 1.0f}});
  const at::Tensor second = torch::tensor({{1.0f, 0.0f, 0.0f}, {0.0f, 1.0f, 0.0f}, {0.0f, 1.0f, 0.0f}});
  const at::Tensor row = torch::tensor({{0.0f, 0.0f, 1.0f}});
  expect_maps_near(walk_back(row, {rollout_step(first), rollout_step(second)}), torch::tensor({{0.25f, 0.25f, 0.5f}}));
}

TEST(HeatmapTest, TheWalkIsARowOfTheProductOfAllLayers) {
  torch::manual_seed(3);
  const at::Tensor a = torch::rand({4, 4}), b = torch::rand({4, 4}), c = torch::rand({4, 4});
  const at::Tensor whole = at::matmul(c, at::matmul(b, a));  // R <- step R, first layer first
  expect_maps_near(walk_back(at::eye(4), {a, b, c}), whole);
}

TEST(HeatmapTest, ARelevancyStepKeepsWhatTheGradientWantsMoreOf) {
  const at::Tensor map = torch::tensor({{{1.0f, 0.0f}, {0.25f, 0.75f}}, {{1.0f, 0.0f}, {0.5f, 0.5f}}});
  const at::Tensor gradient = torch::tensor({{{0.0f, 5.0f}, {4.0f, -1.0f}}, {{0.0f, 5.0f}, {-3.0f, 2.0f}}});
  // Row 1: heads give (1, 0) and (0, 1) after the cut at 0; their mean is (0.5, 0.5), and the residual is added.
  expect_maps_near(relevancy_step(map, gradient), torch::tensor({{1.0f, 0.0f}, {0.5f, 1.5f}}));
}

TEST(HeatmapTest, ARelevancyStepsGradientIsThatOfFiniteDifferences) {
  // score = sum_h w_h . (A_h v_h)[last row], so that dscore/dA can be had both ways.
  torch::manual_seed(4);
  at::Tensor map = at::softmax(torch::randn({2, 3, 3}, at::kDouble), -1).requires_grad_(true);
  const at::Tensor v = torch::randn({2, 3, 5}, at::kDouble), w = torch::randn({2, 5}, at::kDouble);
  const auto score = [&](const at::Tensor& a) { return at::tanh(at::matmul(a, v).select(1, 2).mul(w)).sum(); };
  const at::Tensor gradient = torch::autograd::grad({score(map)}, {map})[0];
  torch::NoGradGuard no_grad;
  at::Tensor differences = at::zeros_like(map);
  constexpr double kStep = 1e-6;
  for (int64_t i = 0; i < map.numel(); ++i) {
    at::Tensor up = map.detach().clone(), down = map.detach().clone();
    up.view(-1)[i] += kStep;
    down.view(-1)[i] -= kStep;
    differences.view(-1)[i] = (score(up) - score(down)) / (2 * kStep);
  }
  expect_maps_near(relevancy_step(map, gradient), relevancy_step(map, differences));
}

TEST(HeatmapTest, CellsAndVisionTokensAreEachOthersInverse) {
  const at::Tensor cells = torch::rand({2, 6});
  const at::Tensor vision = cells_to_vision(cells, 2, 3, 24);  // 4 x 6 vision tokens
  expect_maps_near(vision_to_cells(vision, 2, 3), cells);
  // Cell (1, 2) is made of vision tokens (2..3, 4..5).
  const at::Tensor one = cells_to_vision(torch::tensor({{0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f}}), 2, 3, 24).view({4, 6});
  expect_maps_near(one.narrow(0, 2, 2).narrow(1, 4, 2), at::full({2, 2}, 0.25f));
  EXPECT_NEAR(one.sum().item<double>(), 1, kMapTolerance);
}

TEST(HeatmapTest, AClassTokenBeforeTheImageGetsNothingAndGivesNothing) {
  const at::Tensor vision = cells_to_vision(at::ones({1, 4}), 2, 2, 5);
  EXPECT_EQ(vision[0][0].item<float>(), 0);
  at::Tensor leaked = vision.clone();
  leaked[0][0] = 9;
  expect_maps_near(vision_to_cells(leaked, 2, 2), at::ones({1, 4}));
}

TEST(HeatmapTest, NormalisedIsNeverNegativeAndSumsToOne) {
  const std::vector<float> heatmap = normalised_heatmap(torch::tensor({3.0f, -2.0f, 0.0f, 1.0f}));
  EXPECT_EQ(heatmap, (std::vector<float>{0.75f, 0, 0, 0.25f}));
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(normalised_heatmap(torch::tensor({infinity, 1.0f, std::nanf("")})), (std::vector<float>{0, 1, 0}));
}

TEST(HeatmapTest, NothingIsEven) {
  EXPECT_EQ(normalised_heatmap(at::zeros({4})), std::vector<float>(4, 0.25f));
  EXPECT_EQ(normalised_heatmap(at::full({4}, -1.0f)), std::vector<float>(4, 0.25f));
  EXPECT_EQ(normalised_heatmap(at::ones({1})), std::vector<float>{1});
}

}  // namespace
}  // namespace sf
