// The decoder where dense and routed layers mix, and where features of the vision encoder are injected, against
// transformers' Qwen3-MoE and Qwen3-VL-MoE (make_decoder_goldens.py).
#include <limits>

#include <gtest/gtest.h>

#include "engine/model/vlm.h"
#include "tests/parity/imported_model.h"

namespace sf::test {
namespace {

ModelConfig qwen3_config() {
  ModelConfig config = model_preset("toy");
  config.projector = ProjectorKind::kNone;
  config.modality_embedding = false;
  DecoderConfig& d = config.decoder;
  d.vocab_size = 48;
  d.width = 16;
  d.num_heads = 4;
  d.num_kv_heads = 2;
  d.head_dim = 8;
  d.rope_fraction = 1;
  d.qk_norm = true;
  d.scale_embedding = false;
  d.dense_hidden = 20;
  d.moe.num_experts = 4;
  d.moe.hidden = 12;
  d.moe.router_softmax = RouterSoftmax::kBefore;
  d.moe.renormalise = true;
  d.moe.noisy = false;
  return config;
}

// Every parameter whose name begins so comes from the golden, and there is at least one.
void fill_from(const Golden& golden, Vlm& vlm, const std::string& prefix) {
  torch::NoGradGuard no_grad;
  int filled = 0;
  for (auto& item : vlm.named_parameters()) {
    if (!item.key().starts_with(prefix)) continue;
    const at::Tensor weights = golden[item.key()];
    ASSERT_EQ(weights.sizes(), item.value().sizes()) << item.key();
    item.value().copy_(weights);
    ++filled;
  }
  EXPECT_GT(filled, 0) << prefix;
  vlm.eval();
}

at::Tensor hidden_of(const Vlm& vlm, DecoderInput input) {
  const int64_t tokens = input.x_TD.size(0);
  input.positions_T = at::arange(tokens);
  PackedAttention attention(at::full({1, tokens, tokens}, -std::numeric_limits<float>::infinity()).triu(1));
  return vlm.decoder().forward(input, attention);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(DecoderParityTest, DenseAndRoutedLayersMixAsInQwen3Moe) {
  torch::NoGradGuard no_grad;
  const Golden golden("qwen3_moe");
  ModelConfig config = qwen3_config();
  config.decoder.num_layers = 5;
  config.decoder.tied_head = false;
  config.decoder.dense_layers = {0, 2, 3, 4};  // decoder_sparse_step 2, and mlp_only_layers 3
  Vlm vlm(parse_model_config(to_json(config)));
  fill_from(golden, vlm, "decoder.");
  DecoderInput input;
  input.x_TD = vlm.embed_text(golden["ids"]);
  EXPECT_LT(largest_difference(vlm.decoder().logits(hidden_of(vlm, input)), golden["logits"]), kParityTolerance);
}

TEST(DecoderParityTest, InjectedFeaturesAreQwen3VlsDeepStack) {
  torch::NoGradGuard no_grad;
  const Golden golden("deepstack");
  ModelConfig config = qwen3_config();
  config.decoder.num_layers = 3;
  config.decoder.dense_layers = {1};
  config.projector = ProjectorKind::kShuffle2;
  config.projector_hidden = 32;
  config.vision.width = 8;
  config.vision.num_layers = 2;
  config.vision.deepstack_layers = {0, 1};
  Vlm vlm(parse_model_config(to_json(config)));
  fill_from(golden, vlm, "decoder.");
  fill_from(golden, vlm, "deepstack");
  const std::vector<at::Tensor> features = {golden["vision0"], golden["vision1"]};
  const at::Tensor image_BPM = vlm.project(features[1], features, 4, 6);
  const at::Tensor expected_PI = at::cat({golden["injected0"], golden["injected1"]}, 1);
  EXPECT_LT(largest_difference(vlm.injected(image_BPM)[0], expected_PI), kParityTolerance);
  DecoderInput input;
  input.x_TD = golden["x"];
  input.injected_TI = at::constant_pad_nd(vlm.injected(image_BPM)[0], {0, 0, 3, 5});
  EXPECT_LT(largest_difference(hidden_of(vlm, input), golden["hidden"]), kParityTolerance);
}

}  // namespace
}  // namespace sf::test
