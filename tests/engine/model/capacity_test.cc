#include "engine/model/capacity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr DropOrder kOrders[] = {DropOrder::kPosition, DropOrder::kChoice, DropOrder::kProbability,
                                 DropOrder::kBatchPriority};

Routing routing_of(const at::Tensor& ids_TK, const at::Tensor& gates_TK) {
  Routing routing;
  routing.ids_TK = ids_TK;
  routing.gates_TK = gates_TK;
  return routing;
}

// Uniform distinct top-2, the higher gate first.
Routing random_top2(int64_t tokens, int64_t experts) {
  at::Tensor ids = torch::rand({tokens, experts}).argsort(1, false).narrow(1, 0, 2).contiguous();
  return routing_of(ids, std::get<0>(torch::rand({tokens, 2}).sort(1, true)));
}

TEST(ExpertCapacityTest, FollowsTheFormula) {
  EXPECT_EQ(expert_capacity(36, 8, 2, 1.0), 9);
  EXPECT_EQ(expert_capacity(36, 8, 2, 1.25), 12);  // ceil(11.25)
  EXPECT_EQ(expert_capacity(1, 8, 2, 1.0), 4);     // never below 4
  EXPECT_EQ(expert_capacity(36, 8, 2, 0), 0);      // no limit
}

TEST(KeptWithinTest, NoLimitKeepsAllAndNoTokensAreNone) {
  torch::manual_seed(1);
  for (DropOrder order : kOrders) {
    EXPECT_TRUE(kept_within(random_top2(9, 4), 4, 0, order).all().item<bool>());
    EXPECT_EQ(kept_within(routing_of(at::zeros({0, 2}, at::kLong), at::zeros({0, 2})), 4, 4, order).sizes(),
              at::IntArrayRef({0, 2}));
  }
}

// Three tokens, all with experts 0 and 1, and room for two of each.
TEST(KeptWithinTest, EachOrderKeepsItsOwn) {
  const at::Tensor ids = torch::tensor({{0, 1}, {1, 0}, {0, 1}}, at::kLong);
  const at::Tensor gates = torch::tensor({{0.6f, 0.1f}, {0.7f, 0.3f}, {0.9f, 0.2f}});
  struct Row {
    DropOrder order;
    at::Tensor kept;
  };
  const Row rows[] = {
      {DropOrder::kPosition, torch::tensor({{1, 1}, {1, 1}, {0, 0}})},  // the last token goes, with both
      {DropOrder::kChoice,
       torch::tensor(
           {{1, 1}, {1, 0}, {1, 0}})},  // expert 0: 1st choices of 0 and 2; expert 1: of 1, then token 0's 2nd
      {DropOrder::kProbability, torch::tensor({{1, 0}, {1, 0}, {1, 1}})},  // expert 0: .9 and .6; expert 1: .7 and .2
      {DropOrder::kBatchPriority,
       torch::tensor({{1, 0}, {1, 0}, {1, 1}})},  // tokens 2, 1, 0: expert 1: token 1's 1st, then token 2's 2nd
  };
  for (const Row& row : rows) {
    const at::Tensor kept = kept_within(routing_of(ids, gates), 2, 2, row.order);
    EXPECT_TRUE(kept.equal(row.kept.to(at::kBool))) << row.order << "\n" << kept;
  }
}

// Where batch priority and probability differ: a token's low second gate is lifted by its high first one.
TEST(KeptWithinTest, BatchPriorityLooksAtATokensHighestGate) {
  const at::Tensor ids = torch::tensor({{0, 2}, {1, 2}}, at::kLong);
  const at::Tensor gates = torch::tensor({{0.5f, 0.4f}, {0.9f, 0.1f}});
  EXPECT_TRUE(kept_within(routing_of(ids, gates), 3, 1, DropOrder::kProbability)
                  .equal(torch::tensor({{1, 1}, {1, 0}}).to(at::kBool)));
  EXPECT_TRUE(kept_within(routing_of(ids, gates), 3, 1, DropOrder::kBatchPriority)
                  .equal(torch::tensor({{1, 0}, {1, 1}}).to(at::kBool)));
}

TEST(KeptWithinTest, EveryOrderAgreesWithALoop) {
  torch::manual_seed(3);
  for (int round = 0; round < 20; ++round) {
    const Routing routing = random_top2(40, 4);
    auto gate = [&](int slot) { return routing.gates_TK.flatten()[slot].item<float>(); };
    for (DropOrder order : kOrders) {
      std::vector<int> slots(80);
      std::iota(slots.begin(), slots.end(), 0);
      std::stable_sort(slots.begin(), slots.end(), [&](int a, int b) {
        if (order == DropOrder::kPosition) return a < b;
        if (order == DropOrder::kProbability) return gate(a) > gate(b);
        if (a % 2 != b % 2) return a % 2 < b % 2;
        return order == DropOrder::kChoice ? a < b : gate(a / 2 * 2) > gate(b / 2 * 2);
      });
      std::vector<int> load(4);
      at::Tensor expected = at::zeros({80}, at::kBool);
      for (int slot : slots) {
        if (++load[routing.ids_TK.flatten()[slot].item<int>()] <= 15) expected[slot] = true;
      }
      EXPECT_TRUE(kept_within(routing, 4, 15, order).flatten().equal(expected)) << int(order);
    }
  }
}

// Shares from a simulation of uniform distinct top-2 of 8. One draw's share has a standard deviation of about 0.03 at
// T=36 and 0.008 at T=512: over 300 draws three of them are 0.005 and 0.0014, and the simulation is rounded to 0.001.
// How many are dropped is the same in every order; only who differs.
TEST(KeptWithinTest, DropsTheSharesOfTheOracle) {
  struct Row {
    int64_t tokens;
    double factor, share, tolerance;
  };
  torch::manual_seed(2);
  for (const Row& row : {Row{36, 1.0, 0.114, 0.006}, Row{36, 1.25, 0.019, 0.004}, Row{36, 1.5, 0.004, 0.002},
                         Row{36, 2.0, 0.0001, 0.0005}, Row{64, 1.0, 0.085, 0.005}, Row{64, 1.25, 0.0145, 0.003},
                         Row{64, 1.5, 0.0011, 0.001}, Row{512, 1.0, 0.030, 0.003}, Row{512, 1.25, 0.0, 0.0005},
                         Row{36, 4.0, 0.0, 0.0}}) {
    constexpr int kDraws = 300;
    std::array<double, 4> dropped{};
    for (int i = 0; i < kDraws; ++i) {
      const Routing routing = random_top2(row.tokens, 8);
      for (size_t o = 0; o < 4; ++o) {
        const at::Tensor kept = kept_within(routing, 8, expert_capacity(row.tokens, 8, 2, row.factor), kOrders[o]);
        dropped[o] += 1.0 - kept.to(at::kDouble).mean().item<double>();
      }
    }
    EXPECT_NEAR(dropped[0] / kDraws, row.share, row.tolerance) << "T=" << row.tokens << " factor " << row.factor;
    for (size_t o = 1; o < 4; ++o)
      EXPECT_NEAR(dropped[o], dropped[0], 1e-9) << "T=" << row.tokens << " factor " << row.factor;
  }
}

TEST(BatchCapacityTest, CountsTheTokensItWasToldOf) {
  torch::manual_seed(5);
  MoeConfig config;
  config.num_experts = 4;
  const Routing routing = random_top2(40, 4);
  BatchCapacity tight(config, 20, 1.0);  // of 40 rows, 20 real: C = 10
  EXPECT_EQ(tight.kept(0, routing).sum().item<int64_t>(), kept_within(routing, 4, 10).sum().item<int64_t>());
  EXPECT_FALSE(BatchCapacity(config, 20, 0).kept(0, routing).defined());
  config.drop_order = DropOrder::kProbability;
  EXPECT_TRUE(
      BatchCapacity(config, 20, 1.0).kept(0, routing).equal(kept_within(routing, 4, 10, DropOrder::kProbability)));
}

}  // namespace
}  // namespace sf
