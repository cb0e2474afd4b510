#include "engine/model/moe_layer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

DecoderConfig moe_config() {
  DecoderConfig config;
  config.width = 12;
  config.moe.num_experts = 4;
  config.moe.hidden = 8;
  return config;
}

// Room for four tokens an expert.
struct Within : CapacityPolicy {
  at::Tensor kept(int, const Routing& routing) override { return kept_within(routing, 4, 4); }
};

void fill_biases(Experts& experts) {
  torch::NoGradGuard no_grad;
  for (auto& item : experts.named_parameters()) {
    if (item.key().find("bias") != std::string::npos) torch::nn::init::normal_(item.value());
  }
}

TEST(ExpertsTest, EachActivationFollowsItsFormula) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  const at::Tensor x = torch::randn({6, 12});
  for (const auto& [activation, word] : config_choices(ExpertActivation{})) {
    DecoderConfig config = moe_config();
    config.moe.activation = activation;
    config.moe.expert_bias = true;
    Experts experts(config, 4, 8);
    fill_biases(experts);
    auto parameters = experts.named_parameters();
    const std::string up_name = activation == ExpertActivation::kSwiglu ? "gate_up" : "up";
    const at::Tensor up = at::matmul(x, parameters[up_name][0].t()) + parameters[up_name + "_bias"][0];
    ASSERT_EQ(up.size(1), activation == ExpertActivation::kSwiglu ? 16 : 8);
    at::Tensor hidden;
    if (activation == ExpertActivation::kSwiglu) {
      const at::Tensor gate = up.narrow(1, 0, 8);
      hidden = gate * at::sigmoid(gate) * up.narrow(1, 8, 8);
    } else if (activation == ExpertActivation::kGelu) {
      hidden = up * 0.5 * (1 + at::erf(up / std::sqrt(2.0)));
    } else {
      hidden = up.clamp_min(0);
    }
    const at::Tensor expected = at::matmul(hidden, parameters["down"][0].t()) + parameters["down_bias"][0];
    EXPECT_TRUE(at::allclose(experts.forward_first(x, reference_ops(at::kCPU)), expected, 1e-5, 1e-6)) << word;
    const at::Tensor ends = torch::tensor({6, 6, 6, 6}, at::kLong);
    EXPECT_TRUE(at::allclose(experts.forward(x, ends, reference_ops(at::kCPU)), expected, 1e-5, 1e-6)) << word;
  }
}

TEST(MoeLayerTest, ASharedExpertIsAddedToEveryToken) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  DecoderConfig config = moe_config();
  MoeLayer without(config);
  config.moe.shared_hidden = 10;
  MoeLayer with(config);
  Experts shared(config, 1, 10);
  auto parameters = with.named_parameters();
  for (const auto& item : without.named_parameters()) parameters[item.key()].copy_(item.value());
  for (auto& item : shared.named_parameters()) item.value().copy_(parameters["shared." + item.key()]);
  with.eval();
  without.eval();
  const at::Tensor x = torch::randn({10, 12});
  Within four;
  for (CapacityPolicy* capacity : {static_cast<CapacityPolicy*>(nullptr),
                                   static_cast<CapacityPolicy*>(&four)}) {  // also to a token that every expert dropped
    const at::Tensor expected =
        without.forward(0, x, {.capacity = capacity}) + shared.forward_first(x, reference_ops(at::kCPU));
    EXPECT_TRUE(at::allclose(with.forward(0, x, {.capacity = capacity}), expected, 1e-5, 1e-6));
  }
}

TEST(MoeLayerTest, TokensAboveTheCapacityGiveNothing) {
  torch::NoGradGuard no_grad;
  MoeLayer layer(moe_config());  // an untrained router is all ties: every token goes to experts 0 and 1
  layer.eval();
  const at::Tensor x = torch::randn({10, 12});
  Within four;
  const at::Tensor all = layer.forward(0, x), cut = layer.forward(0, x, {.capacity = &four});
  EXPECT_TRUE(at::allclose(cut.narrow(0, 0, 4), all.narrow(0, 0, 4), 1e-5, 1e-6));
  EXPECT_EQ(cut.narrow(0, 4, 6).abs().sum().item<double>(), 0);
  EXPECT_GT(all.narrow(0, 4, 6).abs().min().item<double>(), 0);
}

// A layer whose router prefers some experts.
std::shared_ptr<MoeLayer> uneven_layer(const DecoderConfig& config) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(21);
  auto layer = std::make_shared<MoeLayer>(config);
  torch::nn::init::normal_(layer->named_parameters()["router.weight"]);
  return layer;
}

DecoderConfig dropout_config(ExpertDropout kind, double rate) {
  DecoderConfig config = moe_config();
  config.moe.noisy = false;
  config.moe.dropout = kind;
  config.moe.dropout_rate = rate;
  return config;
}

TEST(ExpertDropoutTest, IsIdentityInEvaluationWhateverItsKind) {
  torch::NoGradGuard no_grad;
  const at::Tensor x = torch::randn({20, 12});
  const auto plain = uneven_layer(dropout_config(ExpertDropout::kOutput, 0));
  plain->eval();
  for (const ExpertDropout kind : {ExpertDropout::kOutput, ExpertDropout::kHidden, ExpertDropout::kExpert}) {
    const auto layer = uneven_layer(dropout_config(kind, 0.5));
    layer->eval();
    EXPECT_TRUE(layer->forward(0, x).equal(plain->forward(0, x))) << kind;
    layer->train();
    EXPECT_FALSE(layer->forward(0, x).equal(plain->forward(0, x))) << kind;
  }
}

// Output and hidden dropout act on what is linear from there on, so that their 1/(1-p) keeps the mean exactly.
TEST(ExpertDropoutTest, KeepsTheExpectationInTraining) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  const at::Tensor x = torch::randn({8, 12});
  for (const ExpertDropout kind : {ExpertDropout::kOutput, ExpertDropout::kHidden}) {
    const auto layer = uneven_layer(dropout_config(kind, 0.3));
    layer->eval();
    const at::Tensor expected = layer->forward(0, x);
    layer->train();
    constexpr int kDraws = 4000;
    at::Tensor sum = at::zeros_like(expected), squares = at::zeros_like(expected);
    for (int i = 0; i < kDraws; ++i) {
      at::Tensor y = layer->forward(0, x);
      sum += y;
      squares += y.square();
    }
    const at::Tensor mean = sum / kDraws, deviation = ((squares / kDraws - mean.square()).clamp_min(0) / kDraws).sqrt();
    // 96 means, each within five of its standard deviations.
    EXPECT_TRUE(((mean - expected).abs() <= 5 * deviation + 1e-6).all().item<bool>()) << kind;
    EXPECT_GT(deviation.max().item<double>(), 0) << kind;
  }
}

// Expert output masking: a token loses an expert's whole output or none of it.
TEST(ExpertDropoutTest, OutputMasksWholeOutputs) {
  torch::NoGradGuard no_grad;
  DecoderConfig config = dropout_config(ExpertDropout::kOutput, 0.25);
  config.moe.top_k = 1;
  config.moe.router_softmax = RouterSoftmax::kBefore;
  const auto layer = uneven_layer(config);
  const at::Tensor x = torch::randn({2000, 12});
  layer->eval();
  const at::Tensor full = layer->forward(0, x);
  layer->train();
  const at::Tensor y = layer->forward(0, x), masked = y.eq(0).all(1);
  EXPECT_NEAR(masked.to(at::kFloat).mean().item<double>(), 0.25, 0.03);  // three deviations of 2000 draws
  const at::Tensor kept = masked.logical_not().nonzero().flatten();
  EXPECT_TRUE(at::allclose(y.index_select(0, kept), full.index_select(0, kept) / 0.75, 1e-4, 1e-5));
}

TEST(MoeLayerTest, TheRouterLearnsFromTheTaskAtTopOne) {
  DecoderConfig config = dropout_config(ExpertDropout::kOutput, 0);
  config.moe.top_k = 1;
  config.moe.router_softmax = RouterSoftmax::kBefore;
  const auto layer = uneven_layer(config);
  layer->forward(0, torch::randn({10, 12})).square().sum().backward();
  EXPECT_GT(layer->named_parameters()["router.weight"].grad().abs().max().item<double>(), 1e-4);
}

// Router, gates and experts by central differences. The router is f32: at eps 1e-2 its round-off gives about 1e-4 of
// the loss's scale, and the truncation error as much.
TEST(MoeLayerTest, GradientsAreThoseOfFiniteDifferences) {
  constexpr double kEps = 1e-2, kTolerance = 1e-2;
  for (const RouterSoftmax softmax : {RouterSoftmax::kAfter, RouterSoftmax::kBefore}) {
    DecoderConfig config = dropout_config(ExpertDropout::kOutput, 0);
    config.moe.router_softmax = softmax;
    config.moe.renormalise = false;
    config.moe.router_bias = config.moe.expert_bias = true;
    config.moe.shared_hidden = 6;
    const auto layer = uneven_layer(config);
    torch::manual_seed(31);
    const at::Tensor x = torch::randn({3, 12}), weight = torch::randn({3, 12});
    auto loss = [&] { return (layer->forward(0, x) * weight).sum(); };
    loss().backward();
    torch::NoGradGuard no_grad;
    for (auto& item : layer->named_parameters()) {
      double largest = 0;
      for (int64_t i = 0; i < item.value().numel(); i += 7) {
        at::Tensor cell = item.value().detach().view({-1}).select(0, i);
        const double was = cell.item<double>();
        cell.fill_(was + kEps);
        const double above = loss().item<double>();
        cell.fill_(was - kEps);
        const double below = loss().item<double>();
        cell.fill_(was);
        const double gradient = item.value().grad().view({-1})[i].item<double>();
        EXPECT_NEAR(gradient, (above - below) / (2 * kEps), kTolerance) << softmax << " " << item.key() << " " << i;
        largest = std::max(largest, std::abs(gradient));
      }
      EXPECT_GT(largest, 1e-2) << softmax << " " << item.key();
    }
  }
}

TEST(MoeLayerTest, TellsTheObserverStageByStage) {
  struct Log : MoeObserver {
    std::vector<std::string> lines;
    void on_routed(int layer, const Routing& routing, const Dispatch& d) override {
      lines.push_back("routed " + std::to_string(layer) + " " + std::to_string(routing.ids_TK.size(0)) + " " +
                      std::to_string(d.slot_of_row_R.size(0)));
    }
    void on_stage_begin(int, Stage stage) override { lines.push_back("begin " + std::to_string(int(stage))); }
    void on_stage_end(int, Stage stage) override { lines.push_back("end " + std::to_string(int(stage))); }
  } log;
  torch::NoGradGuard no_grad;
  MoeLayer(moe_config()).forward(3, torch::randn({5, 12}), {.observer = &log});
  EXPECT_EQ(log.lines,
            (std::vector<std::string>{"begin 0", "routed 3 5 10", "end 0", "begin 1", "end 1", "begin 2", "end 2"}));
}

TEST(MoeLayerTest, AHookDecidesBeforeTheTokensAreDispatched) {
  struct OnlyTheLast : RoutingHook {
    void on_routing(int layer, Routing& routing) override {
      EXPECT_EQ(layer, 7);
      routing.ids_TK = at::full_like(routing.ids_TK, 3);
      routing.gates_TK = at::full_like(routing.gates_TK, 0.5);
    }
  } hook;
  struct Routed : MoeObserver {
    void on_routed(int, const Routing&, const Dispatch& d) override { ends_E = d.ends_E; }
    at::Tensor ends_E;
  } routed;
  torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  MoeLayer layer(moe_config());
  layer.eval();
  const at::Tensor x = torch::randn({5, 12});
  const at::Tensor y = layer.forward(7, x, {.hook = &hook, .observer = &routed});
  EXPECT_TRUE(routed.ends_E.equal(torch::tensor({0, 0, 0, 10}, at::kLong)));
  Experts experts(moe_config(), 4, 8);
  auto parameters = layer.named_parameters();
  for (auto& item : experts.named_parameters()) item.value().copy_(parameters["experts." + item.key()]);
  const at::Tensor expected = experts.forward(x, torch::tensor({0, 0, 0, 5}, at::kLong), reference_ops(at::kCPU));
  EXPECT_TRUE(at::allclose(y, expected, 1e-5, 1e-6));
}

}  // namespace
}  // namespace sf
