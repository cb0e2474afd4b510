#include "engine/model/vlm.h"

#include <gtest/gtest.h>

namespace sf {
namespace {

ModelConfig small_config() {
  ModelConfig config = model_preset("toy");
  config.vision.num_layers = 2;
  config.decoder.num_kv_heads = 1;
  config.decoder.vocab_size = 64;
  config.decoder.moe.num_experts = 8;
  config.decoder.moe.hidden = 16;
  return config;
}

TEST(RopeTest, KeepsNormsAndDependsOnTheDistanceOnly) {
  torch::manual_seed(1);
  at::Tensor q = torch::randn({1, 1, 16}), k = torch::randn({1, 1, 16});
  auto turned = [](const at::Tensor& x, int64_t position) {
    return apply_rope(x, make_rope_table(at::full({1}, position, at::kLong), 8, 10000.0));
  };
  EXPECT_NEAR(turned(q, 37).norm().item<double>(), q.norm().item<double>(), 1e-5);
  EXPECT_NEAR((turned(q, 7) * turned(k, 3)).sum().item<double>(), (turned(q, 104) * turned(k, 100)).sum().item<double>(), 1e-4);
  EXPECT_TRUE(turned(q, 37).narrow(-1, 8, 8).equal(q.narrow(-1, 8, 8)));  // channels beyond the rotated ones
}

TEST(RmsNormTest, FollowsTheFormula) {
  at::Tensor x = torch::randn({3, 10});
  RmsNorm norm(10, 1e-6);
  at::Tensor expected = x * (x.square().mean(-1, true) + 1e-6).rsqrt();
  EXPECT_TRUE(at::allclose(norm.forward(x), expected, 1e-5, 1e-6));
  torch::NoGradGuard no_grad;
  at::Tensor scale = torch::randn({10});
  norm.parameters()[0].copy_(scale);
  EXPECT_TRUE(at::allclose(norm.forward(x), expected * scale, 1e-5, 1e-6));
}

TEST(ProjectorTest, ShuffleTakesATokensFourNeighbours) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = small_config();
  Projector projector(config);
  at::Tensor vision = torch::randn({1, 4 * 6, 24});
  at::Tensor image = projector.forward(vision, 4, 6);
  EXPECT_EQ(image.sizes(), at::IntArrayRef({1, 6, 32}));
  at::Tensor other = vision.clone();
  for (int64_t row : {2, 3}) other.narrow(1, row * 6 + 4, 2).add_(torch::randn({1, 2, 24}));  // the last image token's four
  at::Tensor changed = (projector.forward(other, 4, 6) - image).abs().sum(-1).gt(1e-6)[0];
  EXPECT_TRUE(changed[5].item<bool>());
  EXPECT_EQ(changed.sum().item<int64_t>(), 1);
}

TEST(DecoderTest, PaddingNeitherRoutesNorChangesAnything) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  Vlm vlm(small_config());
  vlm.eval();
  struct Count : MoeObserver {
    int64_t tokens = 0;
    void on_routed(int, const Routing& routing, const Dispatch&) override { tokens = routing.ids_TK.size(0); }
  };
  auto run = [&](int64_t length, const at::Tensor& ids, Count& count) {
    at::Tensor mask = at::full({1, length, length}, -std::numeric_limits<float>::infinity()).triu(1);
    PackedAttention attention(mask);
    DecoderInput input;
    input.x_TD = vlm.embed_text(ids);
    input.positions_T = at::arange(length);
    input.real_tokens = at::arange(5);
    return vlm.decoder().forward(input, attention, &count);
  };
  at::Tensor ids = at::randint(64, {9}, at::kLong), other = ids.clone();
  other.narrow(0, 5, 4).fill_(1);
  Count padded;
  at::Tensor a = run(9, ids, padded), b = run(9, other, padded), alone = run(5, ids.narrow(0, 0, 5), padded);
  EXPECT_EQ(padded.tokens, 5);
  EXPECT_TRUE(at::allclose(a.narrow(0, 0, 5), alone, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(b.narrow(0, 0, 5), alone, 1e-4, 1e-5));
}

TEST(VlmTest, CountsParameters) {
  Vlm vlm(small_config());
  const int64_t expert = 2 * (3 * 32 * 16);  // two layers; three matrices of 32 x 16
  EXPECT_EQ(vlm.num_parameters() - vlm.num_active_parameters(), expert * (8 - 2));
}

}  // namespace
}  // namespace sf
