#include "trainer/pretrain_vit.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/runtime/prompt_maker.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

data::SampleOptions scene_options() {
  data::SampleOptions options;
  options.pre = preprocess_options(test::tiny_config().image);
  return options;
}

std::vector<data::Sample> scenes(int count, int objects, float non_scenes = 0) {
  data::SampleOptions options = scene_options();
  options.min_objects = options.max_objects = objects;
  options.non_scene_fraction = non_scenes;
  data::Rng rng(3);
  const GridSize grid = data::draw_grid(rng, options);
  std::vector<data::Sample> samples;
  for (int i = 0; i < count; ++i) samples.push_back(data::make_sample(rng, grid, options));
  return samples;
}

at::Tensor random_logits(const DenseTargets& targets) {
  torch::manual_seed(2);
  return torch::randn({targets.object_BN.size(0), targets.object_BN.size(1), 2 + 6 + 2 + 6 + 2 + 6 + 2 + 6 + 2 + 2});
}

TEST(DenseTargetsTest, HaveOneObjectTokenPerObjectAndLabelsOnlyThere) {
  const DenseTargets targets = dense_targets(scenes(4, 6), 16);
  EXPECT_EQ(targets.object_BN.sum().item<int64_t>(), 4 * 6);
  EXPECT_TRUE(targets.scene_B.eq(1).all().item<bool>());
  const at::Tensor object = targets.object_BN.gt(0).unsqueeze(0).expand_as(targets.targets);
  EXPECT_TRUE(targets.targets.ge(0).equal(object));  // six objects: every question has an answer
  for (int t = 0; t < DenseHeads::kNumTargets; ++t) {
    EXPECT_LT(targets.targets[t].max().item<int64_t>(), DenseHeads::kClasses[t]) << DenseHeads::kNames[t];
  }
}

TEST(DenseTargetsTest, ALonelyObjectHasNoNearestAndItsCountIsTheFirstClass) {
  const DenseTargets targets = dense_targets(scenes(3, 1), 16);
  for (int t : {DenseHeads::kNearestColour, DenseHeads::kNearestShape, DenseHeads::kFurthestColour,
                DenseHeads::kFurthestShape}) {
    EXPECT_EQ(targets.targets[t].max().item<int64_t>(), -1);
  }
  EXPECT_EQ(targets.targets[DenseHeads::kSameShape].max().item<int64_t>(), 0);
}

TEST(DenseLossTest, LabelsOfMinusOneAreIgnored) {
  DenseTargets targets = dense_targets(scenes(3, 3), 16);
  at::Tensor logits = random_logits(targets).set_requires_grad(true);
  const int64_t first = targets.object_BN.flatten().nonzero()[0][0].item<int64_t>();
  targets.targets[DenseHeads::kColour].flatten()[first] = -1;
  auto gradient = torch::autograd::grad({dense_loss(logits, targets, false).loss}, {logits})[0].flatten(0, 1);
  EXPECT_EQ(gradient[first].narrow(0, 2, 6).abs().sum().item<double>(), 0);  // its colour teaches nothing
  EXPECT_GT(gradient[first].narrow(0, 8, 2).abs().sum().item<double>(), 0);  // its shape does
  const at::Tensor elsewhere = gradient.index_select(0, targets.object_BN.flatten().eq(0).nonzero().squeeze(1));
  EXPECT_EQ(elsewhere.slice(1, 2).abs().sum().item<double>(), 0);
  EXPECT_GT(elsewhere.narrow(1, 0, 1).abs().min().item<double>(), 0);  // every token learns that no object is there
}

TEST(DenseLossTest, PerfectLogitsHaveFullAccuracyAndNearlyNoLoss) {
  const DenseTargets targets = dense_targets(scenes(3, 4), 16);
  std::vector<at::Tensor> parts = {(targets.object_BN * 2 - 1).unsqueeze(-1),
                                   at::ones_like(targets.object_BN).unsqueeze(-1)};
  for (int t = 0; t < DenseHeads::kNumTargets; ++t) {
    parts.push_back(at::one_hot(targets.targets[t].clamp_min(0), DenseHeads::kClasses[t]).to(at::kFloat));
  }
  const DenseLoss loss = dense_loss(at::cat(parts, -1) * 50, targets, true);
  EXPECT_LT(loss.loss.item<double>(), 1e-6);
  EXPECT_EQ(loss.object_accuracy, 1.0);
  for (double accuracy : loss.accuracy) EXPECT_EQ(accuracy, 1.0);
}

TEST(DenseLossTest, ABatchWithoutScenesHasAFiniteLoss) {
  const DenseTargets targets = dense_targets(scenes(3, 2, 1.0f), 16);
  EXPECT_EQ(targets.object_BN.sum().item<double>(), 0);
  EXPECT_EQ(targets.scene_B.sum().item<double>(), 0);
  at::Tensor logits = random_logits(targets).set_requires_grad(true);
  const DenseLoss loss = dense_loss(logits, targets, true);
  EXPECT_TRUE(std::isfinite(loss.loss.item<double>()));
  EXPECT_TRUE(torch::autograd::grad({loss.loss}, {logits})[0].isfinite().all().item<bool>());
  for (double accuracy : loss.accuracy) EXPECT_EQ(accuracy, 0);
}

bool never() { return false; }

PretrainOptions six_steps() {
  PretrainOptions options;
  options.steps = 6;
  options.batch_size = 2;
  options.report_every = 1;
  return options;
}

TEST(PretrainVitTest, IsStoppedAtAnyStepAndGoesOnThere) {
  test::TempFolder folder;
  const VisionConfig config = test::tiny_config().vision;
  PretrainOptions options = six_steps();
  options.checkpoint_path = (folder.path() / "vit.safetensors").string();  // every 500 steps
  torch::manual_seed(8);
  Vit vit(config);
  std::vector<int64_t> steps;
  const auto report = [&](const PretrainReport& r) { steps.push_back(r.step); };
  EXPECT_FALSE(pretrain_vit(vit, config, scene_options(), options, report, [&] { return steps.size() == 2; }));
  EXPECT_TRUE(pretrain_vit(vit, config, scene_options(), options, report, never));
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(PretrainVitTest, AnInterruptedRunEndsWhereAnUninterruptedOneDoes) {
  test::TempFolder folder;
  const VisionConfig config = test::tiny_config().vision;
  PretrainOptions options = six_steps();
  options.checkpoint_every = 2;
  auto fresh = [&] {
    torch::manual_seed(8);
    return std::make_unique<Vit>(config);
  };
  const auto whole = fresh();
  pretrain_vit(
      *whole, config, scene_options(), options, [](const PretrainReport&) {}, never);

  options.checkpoint_path = (folder.path() / "vit.safetensors").string();
  const auto killed = fresh(), resumed = fresh();
  auto kill = [](const PretrainReport& report) {
    if (report.step == 5) throw std::runtime_error("killed");
  };
  EXPECT_THROW(pretrain_vit(*killed, config, scene_options(), options, kill, never), std::runtime_error);
  std::vector<int64_t> steps;
  pretrain_vit(
      *resumed, config, scene_options(), options, [&](const PretrainReport& report) { steps.push_back(report.step); },
      never);
  EXPECT_EQ(steps, (std::vector<int64_t>{5, 6}));
  const auto expected = whole->named_parameters();
  for (const auto& item : resumed->named_parameters())
    EXPECT_TRUE(item.value().equal(expected[item.key()])) << item.key();
}

}  // namespace
}  // namespace sf
