#include "engine/model/router.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

DecoderConfig config_of(int experts, int top_k, const std::string& softmax = "after") {
  DecoderConfig config;
  config.width = 16;
  config.moe.num_experts = experts;
  config.moe.top_k = top_k;
  config.moe.router_softmax = softmax;
  return config;
}

Routing routing_of(const at::Tensor& logits_TE, int top_k) {
  auto [sorted, order] = at::sort(logits_TE, true, -1, true);
  return {logits_TE, at::softmax(logits_TE, -1), order.narrow(-1, 0, top_k), at::softmax(sorted.narrow(-1, 0, top_k), -1)};
}

TEST(RouterTest, TiesGoToTheLowestIds) {
  Router router(config_of(8, 2));
  router.eval();
  const Routing routing = router.forward(torch::randn({5, 16}));  // zero weights: all logits are equal
  EXPECT_TRUE(routing.ids_TK.select(1, 0).eq(0).all().item<bool>());
  EXPECT_TRUE(routing.ids_TK.select(1, 1).eq(1).all().item<bool>());
  EXPECT_TRUE(at::allclose(routing.gates_TK, at::full({5, 2}, 0.5)));
}

TEST(RouterTest, NoiseIsForTrainingOnlyAndStartsWithStdLn2) {
  torch::manual_seed(3);
  Router router(config_of(8, 8, "before"));
  router.train();
  const Routing noisy = router.forward(torch::randn({20000, 16}));
  // softmax over noisy scores: log gates differ by the noise, whose std is ln 2 + 0.01; differences have sqrt(2) times it.
  at::Tensor by_expert = at::zeros({20000, 8}).scatter(1, noisy.ids_TK, noisy.gates_TK.log());
  const double std = (by_expert.select(1, 0) - by_expert.select(1, 1)).std().item<double>() / std::sqrt(2.0);
  EXPECT_NEAR(std, std::log(2.0) + 0.01, 0.02);  // 3 sigma of the estimate over 20000 tokens is 0.011
  router.eval();
  const Routing quiet = router.forward(torch::randn({4, 16}));
  EXPECT_TRUE(at::allclose(quiet.gates_TK, at::full({4, 8}, 0.125)));
}

TEST(RouterTest, TopOneKeepsTheRoutersGradientWithSoftmaxBefore) {
  Router router(config_of(4, 1, "before"));
  router.eval();
  router.forward(torch::randn({6, 16})).gates_TK.sum().backward();
  EXPECT_GT(router.parameters()[0].grad().abs().sum().item<double>(), 0);
}

TEST(RouterTest, RenormalisedGatesSumToOneAndKeepTheirRatios) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  DecoderConfig config = config_of(8, 3, "before");
  Router plain(config);
  config.moe.renormalise = true;
  Router renormalised(config);
  for (Router* router : {&plain, &renormalised}) {
    router->eval();
    router->named_parameters()["weight"].copy_(at::linspace(-1, 1, 8 * 16).view({8, 16}).sin());
  }
  const at::Tensor x = torch::randn({5, 16});
  const at::Tensor gates = plain.forward(x).gates_TK;
  EXPECT_LT(gates.sum(1).max().item<double>(), 0.999);
  EXPECT_TRUE(at::allclose(renormalised.forward(x).gates_TK, gates / gates.sum(1, true)));
}

TEST(BalanceLossTest, IsOneWhenBalancedAndExpertsOverKWhenCollapsed) {
  at::Tensor one_each = at::eye(8).repeat({4, 1}) * 50;  // token t prefers expert t % 8, top-1
  EXPECT_NEAR(balance_loss(routing_of(one_each, 1)).item<double>(), 1.0, 1e-5);
  at::Tensor collapsed = at::zeros({32, 8});
  collapsed.narrow(1, 0, 2).fill_(50);
  EXPECT_NEAR(balance_loss(routing_of(collapsed, 2)).item<double>(), 4.0, 1e-5);
}

TEST(ZLossTest, AtZeroLogitsItIsTheSquareOfLnE) {
  EXPECT_NEAR(router_z_loss(routing_of(at::zeros({7, 8}), 2)).item<double>(), 4.3241, 1e-3);
}

}  // namespace
}  // namespace sf
