#include "engine/model/router.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

DecoderConfig config_of(int experts, int top_k, RouterSoftmax softmax = RouterSoftmax::kAfter) {
  DecoderConfig config;
  config.width = 16;
  config.moe.num_experts = experts;
  config.moe.top_k = top_k;
  config.moe.router_softmax = softmax;
  return config;
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
  Router router(config_of(8, 8, RouterSoftmax::kBefore));
  router.train();
  const Routing noisy = router.forward(torch::randn({20000, 16}));
  // softmax over noisy scores: log gates differ by the noise, whose std is ln 2 + 0.01; differences have sqrt(2) times
  // it.
  at::Tensor by_expert = at::zeros({20000, 8}).scatter(1, noisy.ids_TK, noisy.gates_TK.log());
  const double std = (by_expert.select(1, 0) - by_expert.select(1, 1)).std().item<double>() / std::sqrt(2.0);
  EXPECT_NEAR(std, std::log(2.0) + 0.01, 0.02);  // 3 sigma of the estimate over 20000 tokens is 0.011
  router.eval();
  const Routing quiet = router.forward(torch::randn({4, 16}));
  EXPECT_TRUE(at::allclose(quiet.gates_TK, at::full({4, 8}, 0.125)));
}

TEST(RouterTest, TopOneKeepsTheRoutersGradientWithSoftmaxBefore) {
  Router router(config_of(4, 1, RouterSoftmax::kBefore));
  router.eval();
  router.forward(torch::randn({6, 16})).gates_TK.sum().backward();
  EXPECT_GT(router.parameters()[0].grad().abs().sum().item<double>(), 0);
}

TEST(RouterTest, RenormalisedGatesSumToOneAndKeepTheirRatios) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  DecoderConfig config = config_of(8, 3, RouterSoftmax::kBefore);
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

// A router whose weights prefer some experts, and tokens for it.
std::shared_ptr<Router> uneven_router(DecoderConfig config) {
  torch::NoGradGuard no_grad;
  auto router = std::make_shared<Router>(config);
  at::Tensor weight = router->named_parameters()["weight"];
  weight.copy_(at::arange(weight.numel()).view(weight.sizes()).to(at::kFloat).mul(0.7).sin());
  router->eval();
  return router;
}

at::Tensor assignments(const Routing& routing, int64_t experts) {
  return at::bincount(routing.ids_TK.flatten(), {}, experts);
}

TEST(BiasBalancingTest, TheBiasChoosesAndTheScoresWeigh) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  for (const RouterSoftmax softmax : {RouterSoftmax::kBefore, RouterSoftmax::kAfter}) {
    DecoderConfig config = config_of(4, 2, softmax);
    const at::Tensor x = torch::randn({30, 16});
    const Routing plain = uneven_router(config)->forward(x);
    config.moe.bias_balancing = true;
    const auto router = uneven_router(config);
    at::Tensor bias = router->named_parameters()["balance_bias"];
    EXPECT_FALSE(bias.requires_grad());
    EXPECT_TRUE(router->forward(x).ids_TK.equal(plain.ids_TK));  // it starts at zero
    bias[3] = 10;
    const Routing biased = router->forward(x);
    EXPECT_TRUE(biased.ids_TK.eq(3).any(1).all().item<bool>());
    // Gates are the scores', in descending order, with no bias in them.
    at::Tensor chosen = biased.logits_TE.gather(1, biased.ids_TK);
    at::Tensor expected =
        softmax == RouterSoftmax::kAfter ? at::softmax(chosen, 1) : biased.probs_TE.gather(1, biased.ids_TK);
    EXPECT_TRUE(at::allclose(biased.gates_TK, expected)) << softmax;
    EXPECT_TRUE(biased.gates_TK.select(1, 0).ge(biased.gates_TK.select(1, 1)).all().item<bool>());
    bias[0] = -10;
    EXPECT_FALSE(router->forward(x).ids_TK.eq(0).any().item<bool>());
  }
}

TEST(BiasBalancingTest, AStepMovesEveryBiasByTheRateTowardsTheMean) {
  at::Tensor bias = at::zeros({4});
  update_balance_bias(bias, torch::tensor({10, 2, 4, 0}, at::kLong), 1e-3);  // mean 4
  EXPECT_TRUE(at::allclose(bias, torch::tensor({-1e-3f, 1e-3f, 0.0f, 1e-3f})));
}

TEST(BiasBalancingTest, StepsEvenOutAnUnevenLoad) {
  torch::manual_seed(5);
  DecoderConfig config = config_of(8, 2);
  config.moe.bias_balancing = true;
  const auto router = uneven_router(config);
  const at::Tensor x = torch::randn({512, 16}) * 0.3 + 0.2;
  auto violation = [&] { return assignments(router->forward(x), 8).max().item<double>() / 128 - 1; };
  const double before = violation();
  for (int i = 0; i < 400; ++i)
    update_balance_bias(router->named_parameters()["balance_bias"], assignments(router->forward(x), 8), 1e-3);
  EXPECT_GT(before, 0.4);
  EXPECT_LT(violation(), 0.1);
}

TEST(WholeExpertDropoutTest, ClosesExpertsInTrainingOnlyAndNeverTooMany) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  DecoderConfig config = config_of(4, 2, RouterSoftmax::kBefore);
  config.moe.noisy = false;
  const auto plain = uneven_router(config);
  config.moe.dropout = ExpertDropout::kExpert;
  config.moe.dropout_rate = 0.5;
  config.moe.bias_balancing = true;
  const auto router = uneven_router(config);
  const at::Tensor x = torch::randn({200, 16});
  EXPECT_TRUE(router->forward(x).ids_TK.equal(plain->forward(x).ids_TK));
  EXPECT_TRUE(router->forward(x).gates_TK.equal(plain->forward(x).gates_TK));
  router->train();
  int closed = 0;
  constexpr int kSteps = 400;
  for (int step = 0; step < kSteps; ++step) {
    const Routing routing = router->forward(x);
    const int idle = static_cast<int>(assignments(routing, 4).eq(0).sum().item<int64_t>());
    EXPECT_LE(idle, 2);
    closed += idle;
    EXPECT_TRUE(routing.gates_TK.gt(0).all().item<bool>());  // no closed expert is among the chosen
  }
  // At most two of four may close: E[min(Binomial(4, 1/2), 2)] = 1.625. Three deviations of the mean of 400 are 0.1.
  EXPECT_NEAR(closed / double(kSteps), 1.625, 0.1);
}

}  // namespace
}  // namespace sf
