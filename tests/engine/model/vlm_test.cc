#include "engine/model/vlm.h"

#include <gtest/gtest.h>

#include "engine/model/initial_weights.h"

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

TEST(InitialWeightsTest, AModelThatWillBeLoadedDrawsNone) {
  const auto next_number = [] { return torch::rand({1}).item<float>(); };
  torch::manual_seed(1);
  const float first = next_number();
  torch::manual_seed(1);
  {
    const NoInitialWeights scope;
    const Vlm vlm(small_config());
  }
  EXPECT_EQ(next_number(), first);
  torch::manual_seed(1);
  const Vlm vlm(small_config());
  EXPECT_NE(next_number(), first);
}

TEST(RopeTest, KeepsNormsAndDependsOnTheDistanceOnly) {
  torch::manual_seed(1);
  at::Tensor q = torch::randn({1, 1, 16}), k = torch::randn({1, 1, 16});
  auto turned = [](const at::Tensor& x, int64_t position) {
    return apply_rope(x, make_rope_table(at::full({1}, position, at::kLong), {.rotated = 8}));
  };
  EXPECT_NEAR(turned(q, 37).norm().item<double>(), q.norm().item<double>(), 1e-5);
  EXPECT_NEAR((turned(q, 7) * turned(k, 3)).sum().item<double>(),
              (turned(q, 104) * turned(k, 100)).sum().item<double>(), 1e-4);
  EXPECT_TRUE(turned(q, 37).narrow(-1, 8, 8).equal(q.narrow(-1, 8, 8)));  // channels beyond the rotated ones
}

// Pairs (2i, 2i+1) are pairs (i, i + half) of the same head with its channels dealt out anew.
TEST(RopeTest, InterleavedIsHalfSplitWithOtherNames) {
  torch::manual_seed(2);
  at::Tensor x = torch::randn({3, 2, 8}), positions = torch::tensor({0, 5, 90});
  at::Tensor order = torch::tensor({0, 2, 4, 6, 1, 3, 5, 7});
  at::Tensor split = apply_rope(x.index_select(-1, order), make_rope_table(positions, {.rotated = 8}));
  at::Tensor interleaved = apply_rope(x, make_rope_table(positions, {.rotated = 8, .interleaved = true}));
  EXPECT_TRUE(at::allclose(interleaved.index_select(-1, order), split, 1e-6, 1e-6));
  EXPECT_FALSE(at::allclose(interleaved, apply_rope(x, make_rope_table(positions, {.rotated = 8})), 1e-3, 1e-3));
}

// Qwen2-VL's sections of 2:3:3 pairs, each turned by its own component; equal components are 1-D RoPE.
TEST(RopeTest, Mrope2dTurnsItsSectionsByTimeRowAndColumn) {
  torch::manual_seed(3);
  at::Tensor x = torch::randn({1, 1, 16});
  auto turned = [&](int64_t t, int64_t row, int64_t column) {
    return apply_rope(x, make_rope_table(torch::tensor({t, row, column}).view({1, 3}), {.rotated = 16}));
  };
  EXPECT_TRUE(turned(7, 7, 7).equal(apply_rope(x, make_rope_table(torch::tensor({7}), {.rotated = 16}))));
  const std::vector<std::pair<int64_t, int64_t>> sections = {{0, 2}, {2, 3}, {5, 3}};
  for (size_t component = 0; component < 3; ++component) {
    at::Tensor moved = turned(component == 0 ? 9 : 7, component == 1 ? 9 : 7, component == 2 ? 9 : 7);
    at::Tensor changed = (moved - turned(7, 7, 7)).abs().gt(1e-6).view({2, 8});
    at::Tensor expected = at::zeros({2, 8}, at::kBool);
    expected.narrow(1, sections[component].first, sections[component].second).fill_(true);
    EXPECT_TRUE(changed.equal(expected)) << component << changed;
  }
}

TEST(NormTest, LayerNormFollowsTheFormula) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  at::Tensor x = torch::randn({3, 10}), scale = torch::randn({10}), bias = torch::randn({10});
  Norm norm(NormKind::kLayer, 10, 1e-5);
  norm.named_parameters()["weight"].copy_(scale);
  norm.named_parameters()["bias"].copy_(bias);
  at::Tensor centred = x - x.mean(-1, true);
  at::Tensor expected = centred * (centred.square().mean(-1, true) + 1e-5).rsqrt() * scale + bias;
  EXPECT_TRUE(at::allclose(norm.forward(x), expected, 1e-5, 1e-5));
}

TEST(NormTest, RmsNormFollowsTheFormula) {
  at::Tensor x = torch::randn({3, 10});
  Norm norm(NormKind::kRms, 10, 1e-6);
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
  for (int64_t row : {2, 3})
    other.narrow(1, row * 6 + 4, 2).add_(torch::randn({1, 2, 24}));  // the last image token's four
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

at::Tensor hidden_of(Vlm& vlm, const at::Tensor& ids, const at::Tensor& positions) {
  at::Tensor mask = at::full({1, ids.size(0), ids.size(0)}, -std::numeric_limits<float>::infinity()).triu(1);
  PackedAttention attention(mask);
  vlm.eval();
  DecoderInput input;
  input.x_TD = vlm.embed_text(ids);
  input.positions_T = positions;
  return vlm.decoder().forward(input, attention);
}

TEST(DecoderTest, LearnedPositionsAreRowsOfTheTable) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  ModelConfig config = small_config();
  config.decoder.positions = PositionKind::kLearned;
  Vlm vlm(config);
  at::Tensor ids = torch::tensor({3, 4, 5});
  at::Tensor near = hidden_of(vlm, ids, at::arange(3)), far = hidden_of(vlm, ids, at::arange(3) + 40);
  EXPECT_FALSE(at::allclose(near, far, 1e-3, 1e-3));
  at::Tensor table = vlm.named_parameters()["decoder.positions"];
  table.narrow(0, 40, 3).copy_(table.narrow(0, 0, 3));
  EXPECT_TRUE(hidden_of(vlm, ids, at::arange(3) + 40).equal(near));
}

TEST(DecoderTest, AttentionScaleReplacesTheRootOfTheHead) {
  torch::NoGradGuard no_grad;
  at::Tensor ids = torch::tensor({3, 4, 5, 6});
  auto run = [&](double scale, double query_factor) {
    torch::manual_seed(6);
    ModelConfig config = small_config();
    config.decoder.attention_scale = scale;
    Vlm vlm(config);
    for (auto& item : vlm.named_parameters()) {
      if (item.key().ends_with("q_proj")) item.value().mul_(query_factor);
    }
    return hidden_of(vlm, ids, at::arange(4));
  };
  EXPECT_TRUE(at::allclose(run(0.25, 1), run(0, 1), 1e-5, 1e-6));  // 1/sqrt(16)
  EXPECT_TRUE(at::allclose(run(0.5, 1), run(0, 2), 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(run(0.5, 1), run(0, 1), 1e-4, 1e-4));
}

TEST(DecoderTest, TheHeadAndTheEmbeddingFollowTheirSwitches) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  ModelConfig config = small_config();
  config.modality_embedding = false;
  config.decoder.scale_embedding = config.decoder.tied_head = false;
  config.decoder.head_bias = true;
  Vlm vlm(config);
  auto parameters = vlm.named_parameters();
  at::Tensor ids = torch::tensor({1, 2}), hidden = torch::randn({2, 32});
  EXPECT_TRUE(vlm.embed_text(ids).equal(parameters["decoder.embedding"].index_select(0, ids)));
  parameters["decoder.head_bias"].copy_(torch::randn({64}));
  at::Tensor expected = at::matmul(hidden, parameters["decoder.head"].t()) + parameters["decoder.head_bias"];
  EXPECT_TRUE(at::allclose(vlm.decoder().logits(hidden), expected, 1e-5, 1e-5));
}

// A dense layer is one MLP, the same for every token, and no observer hears of it.
TEST(DecoderTest, ADenseLayerIsAPlainMlp) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  ModelConfig config = small_config();
  config.decoder.dense_layers = {0, 1};
  config.decoder.dense_hidden = 24;
  config.decoder.moe.dropout = ExpertDropout::kHidden;
  config.decoder.moe.dropout_rate = 0.5;  // of the experts that are chosen alone
  Vlm vlm(config);
  at::Tensor ids = torch::tensor({3, 4, 5, 6});
  struct Heard : MoeObserver {
    int calls = 0;
    void on_routed(int, const Routing&, const Dispatch&) override { ++calls; }
    void on_stage_begin(int, Stage) override { ++calls; }
  } heard;
  vlm.train();
  PackedAttention attention(at::full({1, 4, 4}, -std::numeric_limits<float>::infinity()).triu(1));
  std::vector<at::Tensor> layers;
  DecoderInput input;
  input.x_TD = vlm.embed_text(ids);
  input.positions_T = at::arange(4);
  input.layer_outputs = &layers;
  vlm.decoder().forward(input, attention, &heard);
  EXPECT_EQ(heard.calls, 0);
  auto parameters = vlm.named_parameters();
  for (const auto& item : parameters) EXPECT_EQ(item.key().find(".moe."), std::string::npos) << item.key();
  // Without the attention of the second block its output is its input and the MLP of its norm.
  parameters["decoder.block1.attention.o_proj"].zero_();
  layers.clear();
  vlm.decoder().forward(input, attention);
  at::Tensor x = layers[0], h = x * (x.square().mean(-1, true) + config.decoder.norm_eps).rsqrt();
  at::Tensor up = at::matmul(h, parameters["decoder.block1.mlp.gate_up"][0].t());
  at::Tensor y =
      at::matmul(at::silu(up.narrow(1, 0, 24)) * up.narrow(1, 24, 24), parameters["decoder.block1.mlp.down"][0].t());
  EXPECT_TRUE(at::allclose(layers[1], x + y, 1e-4, 1e-5));
  EXPECT_EQ(vlm.num_active_parameters(), vlm.num_parameters());
}

TEST(VlmTest, GivesItsParametersByRole) {
  torch::NoGradGuard no_grad;
  ModelConfig config = small_config();
  config.decoder.moe.bias_balancing = true;
  config.decoder.num_layers = 3;
  config.decoder.dense_layers = {1};
  config.decoder.dense_hidden = 24;
  Vlm vlm(config);
  const auto all = vlm.named_parameters(), vision = vlm.vision_parameters();
  size_t named = 0;
  for (const auto& item : all) {
    if (!Vlm::is_vision_parameter(item.key())) continue;
    ++named;
    ASSERT_TRUE(vision.contains(item.key())) << item.key();
    EXPECT_TRUE(vision[item.key()].is_same(item.value())) << item.key();
  }
  EXPECT_GT(named, 0u);
  EXPECT_EQ(vision.size(), named);
  const std::vector<at::Tensor> biases = vlm.balance_biases();
  ASSERT_EQ(biases.size(), 2u);
  EXPECT_TRUE(biases[0].is_same(all["decoder.block0.moe.router.balance_bias"]));
  EXPECT_TRUE(biases[1].is_same(all["decoder.block2.moe.router.balance_bias"]));
  config.decoder.moe.bias_balancing = false;
  config.projector = ProjectorKind::kNone;
  Vlm text(config);
  EXPECT_TRUE(text.balance_biases().empty());
  EXPECT_TRUE(text.vision_parameters().is_empty());
}

TEST(VlmTest, CountsParameters) {
  Vlm vlm(small_config());
  const int64_t expert = 2 * (3 * 32 * 16);  // two layers; three matrices of 32 x 16
  EXPECT_EQ(vlm.num_parameters() - vlm.num_active_parameters(), expert * (8 - 2));
}

}  // namespace
}  // namespace sf
