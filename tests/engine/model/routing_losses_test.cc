#include "engine/model/routing_losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace sf {
namespace {

Routing routing_of(const at::Tensor& logits_TE, int top_k) {
  auto [sorted, order] = at::sort(logits_TE, true, -1, true);
  return {logits_TE,
          at::softmax(logits_TE, -1),
          order.narrow(-1, 0, top_k),
          at::softmax(sorted.narrow(-1, 0, top_k), -1),
          {},
          {}};
}

// Routing with the given noise, as the router makes it: everything hangs on the logits and the noise's raw scale.
Routing noisy_routing(const at::Tensor& logits_TE, const at::Tensor& raw_std_TE, const at::Tensor& noise_TE) {
  Routing routing;
  routing.noise_std_TE = at::softplus(raw_std_TE) + 0.01;
  routing.noisy_TE = logits_TE + noise_TE * routing.noise_std_TE;
  const Routing chosen = routing_of(routing.noisy_TE, 2);
  routing.logits_TE = logits_TE;
  routing.probs_TE = at::softmax(logits_TE, -1);
  routing.ids_TK = chosen.ids_TK;
  routing.gates_TK = chosen.gates_TK;
  return routing;
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

// Two of eight experts share everything: mean 1/4 of theirs, so CV^2 = 8/2 - 1.
TEST(ImportanceLossTest, IsZeroWhenBalancedAndThreeWhenTwoOfEightHaveAll) {
  EXPECT_NEAR(importance_loss(routing_of(at::eye(8).repeat({4, 1}) * 50, 1)).item<double>(), 0.0, 1e-6);
  at::Tensor collapsed = at::zeros({32, 8});
  collapsed.narrow(1, 0, 2).fill_(50);
  EXPECT_NEAR(importance_loss(routing_of(collapsed, 2)).item<double>(), 3.0, 1e-5);
}

TEST(LoadLossTest, IsNearZeroAtEqualLogitsAndThreeWhenTwoOfEightHaveAll) {
  torch::manual_seed(1);
  const at::Tensor raw_std = at::zeros({4000, 8}), noise = torch::randn({4000, 8});
  // Each expert's mean over 4000 tokens differs by chance: about 0.005 of 0.25.
  EXPECT_LT(load_loss(noisy_routing(at::zeros({4000, 8}), raw_std, noise)).item<double>(), 1e-3);
  at::Tensor collapsed = at::zeros({4000, 8});
  collapsed.narrow(1, 0, 2).fill_(50);
  const double load = load_loss(noisy_routing(collapsed, raw_std, noise)).item<double>();
  // The threshold is the lower of two noisy logits, so either expert passes it about as often.
  EXPECT_NEAR(load, 3.0, 0.01);
}

// One token, by hand: Phi((logit - second noisy logit) / std).
TEST(LoadLossTest, FollowsTheFormula) {
  Routing routing = noisy_routing(torch::tensor({{1.0, 0.0, -1.0}}), at::zeros({1, 3}, at::kDouble),
                                  torch::tensor({{0.5, -0.2, 0.1}}).to(at::kDouble));
  const double std = std::log(2.0) + 0.01, threshold = 0.0 - 0.2 * std;
  double p[3], mean = 0, variance = 0;
  const double logits[3] = {1.0, 0.0, -1.0};
  for (int e = 0; e < 3; ++e) {
    p[e] = 0.5 * std::erfc(-(logits[e] - threshold) / std / std::sqrt(2.0));
    mean += p[e] / 3;
  }
  for (double value : p) variance += (value - mean) * (value - mean) / 3;
  EXPECT_NEAR(load_loss(routing).item<double>(), variance / (mean * mean), 1e-5);
}

// Image tokens on experts 0 and 1, text on 2 and 3: the whole is balanced, either modality is not.
TEST(ModalityLossTest, SeesACollapseThatTheWholeBalances) {
  at::Tensor logits = at::zeros({40, 4});
  logits.narrow(0, 0, 20).narrow(1, 0, 2).fill_(50);
  logits.narrow(0, 20, 20).narrow(1, 2, 2).fill_(50);
  const at::Tensor is_image = at::cat({at::ones({20}, at::kLong), at::zeros({20}, at::kLong)});
  const Routing routing = routing_of(logits, 2);
  EXPECT_NEAR(balance_loss(routing).item<double>(), 1.0, 1e-5);
  EXPECT_NEAR(modality_balance_loss(routing, is_image).item<double>(), 2.0, 1e-5);  // E / k
  // Each token is undecided between two: ln 2; each modality lies on two of the four it should have: ln 4 - ln 2.
  EXPECT_NEAR(local_entropy_loss(routing, is_image).item<double>(), std::log(2.0), 1e-4);
  EXPECT_NEAR(global_entropy_loss(routing, is_image, 4).item<double>(), std::log(2.0), 1e-4);
  EXPECT_NEAR(global_entropy_loss(routing, is_image, 2).item<double>(), 0, 1e-4);  // two are enough
  // A batch without images is a mean over one modality.
  EXPECT_NEAR(modality_balance_loss(routing, at::zeros({40}, at::kLong)).item<double>(), 1.0, 1e-5);
}

// Central differences in f64: the truncation error of eps 1e-6 and the round-off are both below 1e-8 here.
TEST(RoutingLossesTest, GradientsAreThoseOfFiniteDifferences) {
  constexpr double kEps = 1e-6, kTolerance = 1e-6;
  torch::manual_seed(7);
  const at::Tensor noise = torch::randn({6, 5}, at::kDouble), is_image = torch::tensor({1, 1, 1, 0, 0, 0}, at::kLong);
  at::Tensor logits = torch::randn({6, 5}, at::kDouble), raw_std = torch::randn({6, 5}, at::kDouble);
  const std::pair<const char*, std::function<at::Tensor(const Routing&)>> losses[] = {
      {"balance", balance_loss},
      {"z", router_z_loss},
      {"importance", importance_loss},
      {"load", load_loss},
      {"modality balance", [&](const Routing& r) { return modality_balance_loss(r, is_image); }},
      {"local entropy", [&](const Routing& r) { return local_entropy_loss(r, is_image); }},
      {"global entropy", [&](const Routing& r) { return global_entropy_loss(r, is_image, 5); }}};
  for (const auto& [name, loss] : losses) {
    at::Tensor l = logits.clone().set_requires_grad(true), s = raw_std.clone().set_requires_grad(true);
    loss(noisy_routing(l, s, noise)).backward();
    torch::NoGradGuard no_grad;
    double largest = 0;
    for (at::Tensor input : {l, s}) {
      for (int64_t i = 0; i < input.numel(); ++i) {
        at::Tensor cell = input.detach().view({-1}).select(0, i);
        const double was = cell.item<double>();
        cell.fill_(was + kEps);
        const double above = loss(noisy_routing(l, s, noise)).item<double>();
        cell.fill_(was - kEps);
        const double below = loss(noisy_routing(l, s, noise)).item<double>();
        cell.fill_(was);
        const double gradient = input.grad().defined() ? input.grad().view({-1})[i].item<double>() : 0;
        EXPECT_NEAR(gradient, (above - below) / (2 * kEps), kTolerance) << name << " " << i;
        largest = std::max(largest, std::abs(gradient));
      }
    }
    EXPECT_GT(largest, 1e-3) << name;
  }
}

}  // namespace
}  // namespace sf
