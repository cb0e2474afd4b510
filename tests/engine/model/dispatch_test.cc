#include "engine/model/dispatch.h"

#include <gtest/gtest.h>

#include "engine/model/experts.h"

namespace sf {
namespace {

Routing routing_of(const at::Tensor& ids_TK) {
  Routing routing;
  routing.ids_TK = ids_TK;
  routing.gates_TK = torch::rand(ids_TK.sizes());
  return routing;
}

at::Tensor distinct_top2(int64_t tokens, int64_t experts) {
  return torch::rand({tokens, experts}).argsort(1, false).narrow(1, 0, 2).contiguous();
}

TEST(DispatchTest, SortsByExpertThenPositionAndInverts) {
  torch::manual_seed(1);
  const at::Tensor ids = distinct_top2(50, 8);
  const Dispatch d = dispatch(routing_of(ids), 8, 0);
  const at::Tensor expert_of_row = ids.flatten().index_select(0, d.slot_of_row_R);
  EXPECT_TRUE(expert_of_row.diff().ge(0).all().item<bool>());
  EXPECT_TRUE(d.row_of_slot_TK.flatten().index_select(0, d.slot_of_row_R).equal(at::arange(100)));
  EXPECT_EQ(d.ends_E[7].item<int64_t>(), 100);
  EXPECT_TRUE(d.kept_TK.all().item<bool>());
}

TEST(DispatchTest, DropsTheLastTokensBeyondCapacity) {
  const at::Tensor ids = at::zeros({10, 1}, at::kLong);  // one expert takes all
  const Dispatch d = dispatch(routing_of(ids), 4, 4);
  EXPECT_EQ(d.kept_TK.sum().item<int64_t>(), 4);
  EXPECT_TRUE(d.kept_TK.narrow(0, 0, 4).all().item<bool>());
  EXPECT_EQ(d.gates_TK.narrow(0, 4, 6).abs().sum().item<double>(), 0);
}

// Position order, whichever slot a token comes by: the expert of the 1st slot has no precedence.
TEST(DispatchTest, KeepsByPositionAcrossSlots) {
  at::Tensor ids = torch::tensor({{0, 1}, {1, 0}, {0, 1}, {1, 0}, {0, 1}, {1, 0}});
  const Dispatch d = dispatch(routing_of(ids), 2, 4);
  EXPECT_TRUE(d.kept_TK.narrow(0, 0, 4).all().item<bool>());
  EXPECT_FALSE(d.kept_TK.narrow(0, 4, 2).any().item<bool>());
  EXPECT_TRUE(d.slot_of_row_R.narrow(0, 0, 6).equal(torch::tensor({0, 3, 4, 7, 8, 11})));
  EXPECT_TRUE(d.row_of_slot_TK.flatten().index_select(0, d.slot_of_row_R).equal(at::arange(12)));
}

TEST(DispatchTest, NoTokensAreNoRows) {
  const Dispatch d = dispatch(routing_of(at::zeros({0, 2}, at::kLong)), 4, 4);
  EXPECT_TRUE(d.ends_E.equal(at::zeros({4}, at::kLong)));
  const at::Tensor rows = gather_rows(d, at::zeros({0, 6}));
  EXPECT_EQ(rows.sizes(), at::IntArrayRef({0, 6}));
  EXPECT_EQ(combine(d, rows).sizes(), at::IntArrayRef({0, 6}));
}

TEST(DispatchTest, GatherAndCombineHaveTheGradientsOfPlainIndexing) {
  torch::manual_seed(6);
  Routing routing = routing_of(distinct_top2(11, 4));
  routing.gates_TK.set_requires_grad(true);
  const Dispatch d = dispatch(routing, 4, 4);
  at::Tensor x = torch::randn({11, 5}).set_requires_grad(true), weight = torch::randn({11, 5}),
             scale = torch::randn({22, 1});
  at::Tensor ours = combine(d, gather_rows(d, x) * scale);
  at::Tensor rows = x.index_select(0, at::floor_divide(d.slot_of_row_R, 2)) * scale;
  at::Tensor slots = rows.index_select(0, d.row_of_slot_TK.flatten()).view({11, 2, 5});
  at::Tensor plain = (slots * (routing.gates_TK * d.kept_TK).unsqueeze(-1)).sum(1);
  EXPECT_TRUE(at::allclose(ours, plain, 1e-5, 1e-6));
  auto a = torch::autograd::grad({(ours * weight).sum()}, {x, routing.gates_TK});
  auto b = torch::autograd::grad({(plain * weight).sum()}, {x, routing.gates_TK});
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::allclose(a[i], b[i], 1e-5, 1e-6)) << i;
}

TEST(DispatchTest, ExpertsAgreeWithALoopOverTokensAndSoDoTheGradients) {
  torch::manual_seed(4);
  DecoderConfig config;
  config.width = 12;
  config.moe.num_experts = 4;
  config.moe.hidden = 8;
  Experts experts(config, 4, 8);
  Routing routing = routing_of(distinct_top2(9, 4));
  const Dispatch d = dispatch(routing, 4, 0);
  at::Tensor x = torch::randn({9, 12}).set_requires_grad(true);
  at::Tensor y = combine(d, experts.forward(gather_rows(d, x), d.ends_E, reference_ops(at::kCPU)));

  const at::Tensor gate_up = experts.named_parameters()["gate_up"], down = experts.named_parameters()["down"];
  std::vector<at::Tensor> rows;
  for (int64_t t = 0; t < 9; ++t) {
    at::Tensor sum = at::zeros({12});
    for (int64_t j = 0; j < 2; ++j) {
      const int64_t e = routing.ids_TK[t][j].item<int64_t>();
      auto halves = at::matmul(gate_up[e], x[t]).chunk(2);
      sum = sum + routing.gates_TK[t][j] * at::matmul(down[e], at::silu(halves[0]) * halves[1]);
    }
    rows.push_back(sum);
  }
  at::Tensor expected = at::stack(rows);
  EXPECT_TRUE(at::allclose(y, expected, 1e-5, 1e-6));
  const at::Tensor weight = torch::randn({9, 12});
  auto ours = torch::autograd::grad({(y * weight).sum()}, {x, gate_up, down});
  auto theirs = torch::autograd::grad({(expected * weight).sum()}, {x, gate_up, down});
  for (size_t i = 0; i < ours.size(); ++i) EXPECT_TRUE(at::allclose(ours[i], theirs[i], 1e-4, 1e-5)) << i;
}

}  // namespace
}  // namespace sf
