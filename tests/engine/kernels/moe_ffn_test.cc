#include <gtest/gtest.h>

#include <cmath>

#include "engine/kernels/reference/reference.h"

namespace sf {
namespace {

constexpr int64_t kWidth = 12, kHidden = 8;

FfnWeights random_ffn(int64_t num_experts, FfnActivation activation, bool biased) {
  const int64_t up = activation == FfnActivation::kSwiglu ? 2 * kHidden : kHidden;
  FfnWeights weights{.up_EUD = torch::randn({num_experts, up, kWidth}) / std::sqrt(double(kWidth)),
                     .up_bias_EU = {},
                     .down_EDF = torch::randn({num_experts, kWidth, kHidden}) / std::sqrt(double(kHidden)),
                     .down_bias_ED = {},
                     .activation = activation};
  if (biased) {
    weights.up_bias_EU = torch::randn({num_experts, up});
    weights.down_bias_ED = torch::randn({num_experts, kWidth});
  }
  return weights;
}

TEST(MoeFfnTest, GroupedAndMaskedAgreeAndSoDoTheirGradients) {
  torch::manual_seed(1);
  // Rows behind the last of each expert: uneven, an idle one, one that takes all, a single row, none.
  const std::vector<std::vector<int64_t>> all_ends = {
      {9, 20, 31, 34}, {5, 12, 18, 18}, {0, 0, 6, 6}, {1, 1, 1, 1}, {0, 0, 0, 0}};
  for (FfnActivation activation : {FfnActivation::kSwiglu, FfnActivation::kGelu, FfnActivation::kRelu}) {
    for (const auto& bounds : all_ends) {
      FfnWeights weights = random_ffn(4, activation, activation != FfnActivation::kSwiglu);
      const at::Tensor ends_E = torch::tensor(bounds, at::kLong);
      const int64_t rows = bounds.back();
      at::Tensor x = torch::randn({rows, kWidth}).set_requires_grad(true), factor = torch::randn({rows, kWidth});
      std::vector<at::Tensor> inputs = {weights.up_EUD.set_requires_grad(true),
                                        weights.down_EDF.set_requires_grad(true), x};
      at::Tensor grouped = reference::grouped_moe_ffn(weights, x, ends_E),
                 masked = reference::masked_moe_ffn(weights, x, ends_E);
      EXPECT_TRUE(at::allclose(grouped, masked, 1e-5, 1e-6)) << int(activation) << " " << bounds;
      if (rows == 0) continue;
      auto a = torch::autograd::grad({(grouped * factor).sum()}, inputs),
           b = torch::autograd::grad({(masked * factor).sum()}, inputs);
      for (size_t i = 0; i < inputs.size(); ++i)
        EXPECT_TRUE(at::allclose(a[i], b[i], 1e-4, 1e-5)) << int(activation) << " " << bounds << " " << i;
    }
  }
}

TEST(MoeFfnTest, ADenseNetworkIsOneExpertThatTakesAll) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  const FfnWeights weights = random_ffn(1, FfnActivation::kGelu, true);
  const at::Tensor x = torch::randn({7, kWidth}), ends_E = torch::tensor({int64_t{7}}, at::kLong);
  EXPECT_TRUE(reference::dense_ffn(weights, x).equal(reference::grouped_moe_ffn(weights, x, ends_E)));
}

TEST(TopkGatesTest, EqualScoresGoToTheSmallerId) {
  const at::Tensor scores = torch::tensor({{1.0f, 2.0f, 2.0f, 1.0f}, {0.0f, 0.0f, 0.0f, 0.0f}});
  const Gates gates = reference::topk_gates(scores, {}, {.top_k = 3});
  EXPECT_TRUE(gates.ids_TK.equal(torch::tensor({{1, 2, 0}, {0, 1, 2}}, at::kLong)));
  EXPECT_TRUE(at::allclose(gates.gates_TK.sum(1), torch::ones({2})));
}

TEST(TopkGatesTest, TheGatesAreThoseOfTheIdsChosen) {
  torch::manual_seed(3);
  const at::Tensor scores = torch::randn({9, 6}), bias = torch::randn({6});
  for (bool after : {true, false}) {
    for (bool renormalise : {true, false}) {
      const GateRule rule{.top_k = 2, .softmax_after = after, .renormalise = renormalise};
      for (const at::Tensor& bias_E : {at::Tensor(), bias}) {
        const Gates gates = reference::topk_gates(scores, bias_E, rule);
        EXPECT_TRUE(gates.gates_TK.equal(reference::gates_of(scores, gates.ids_TK, rule)));
        const at::Tensor chosen = scores.gather(1, gates.ids_TK);
        EXPECT_TRUE(chosen.select(1, 0).ge(chosen.select(1, 1)).all().item<bool>()) << "slots by descending score";
      }
    }
  }
}

}  // namespace
}  // namespace sf
