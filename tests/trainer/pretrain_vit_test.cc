#include "trainer/pretrain_vit.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "engine/runtime/prompt_maker.h"
#include "tests/support/tiny_model.h"
#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"

namespace sf {
namespace {

enum Target { kColour, kShape, kNearestColour, kNearestShape, kFurthestColour, kFurthestShape, kCount };

const Task& task() {
  static const std::unique_ptr<Task> task = make_sort_of_clevr_task({});
  return *task;
}

PreprocessOptions pre() { return preprocess_options(test::tiny_config().image); }

LabelTensors labels_of(int count, int objects, float non_scenes = 0) {
  data::SampleOptions options;
  options.pre = pre();
  options.min_objects = options.max_objects = objects;
  options.non_scene_fraction = non_scenes;
  data::Rng rng(3);
  const GridSize grid = data::draw_grid(rng, options);
  std::vector<Example> examples;
  for (int i = 0; i < count; ++i) examples.push_back(example_of(data::make_sample(rng, grid, options), {}, 32, 16));
  return label_tensors(examples, task().dense_targets().size());
}

at::Tensor random_logits(const LabelTensors& labels) {
  torch::manual_seed(2);
  return torch::randn({labels.object_BN.size(0), labels.object_BN.size(1), 2 + 6 + 2 + 6 + 2 + 6 + 2 + 6 + 2 + 2});
}

TEST(LabelTensorsTest, HaveOneObjectTokenPerObjectAndLabelsOnlyThere) {
  const LabelTensors labels = labels_of(4, 6);
  EXPECT_EQ(labels.object_BN.sum().item<int64_t>(), 4 * 6);
  EXPECT_TRUE(labels.in_task_B.eq(1).all().item<bool>());
  const at::Tensor object = labels.object_BN.gt(0).unsqueeze(0).expand_as(labels.classes);
  EXPECT_TRUE(labels.classes.ge(0).equal(object));  // six objects: every question has an answer
  int64_t t = 0;
  for (const DenseTarget& target : task().dense_targets()) {
    EXPECT_LT(labels.classes[t++].max().item<int64_t>(), target.classes) << target.name;
  }
}

TEST(LabelTensorsTest, ALonelyObjectHasNoNearestAndItsCountIsTheFirstClass) {
  const LabelTensors labels = labels_of(3, 1);
  for (int t : {kNearestColour, kNearestShape, kFurthestColour, kFurthestShape}) {
    EXPECT_EQ(labels.classes[t].max().item<int64_t>(), -1);
  }
  EXPECT_EQ(labels.classes[kCount].max().item<int64_t>(), 0);
}

TEST(DenseLossTest, LabelsOfMinusOneAreIgnored) {
  LabelTensors labels = labels_of(3, 3);
  at::Tensor logits = random_logits(labels).set_requires_grad(true);
  const int64_t first = labels.object_BN.flatten().nonzero()[0][0].item<int64_t>();
  labels.classes[kColour].flatten()[first] = -1;
  auto gradient =
      torch::autograd::grad({dense_loss(logits, labels, task().dense_targets(), false).loss}, {logits})[0].flatten(0,
                                                                                                                   1);
  EXPECT_EQ(gradient[first].narrow(0, 2, 6).abs().sum().item<double>(), 0);  // its colour teaches nothing
  EXPECT_GT(gradient[first].narrow(0, 8, 2).abs().sum().item<double>(), 0);  // its shape does
  const at::Tensor elsewhere = gradient.index_select(0, labels.object_BN.flatten().eq(0).nonzero().squeeze(1));
  EXPECT_EQ(elsewhere.slice(1, 2).abs().sum().item<double>(), 0);
  EXPECT_GT(elsewhere.narrow(1, 0, 1).abs().min().item<double>(), 0);  // every token learns that no object is there
}

TEST(DenseLossTest, PerfectLogitsHaveFullAccuracyAndNearlyNoLoss) {
  const LabelTensors labels = labels_of(3, 4);
  std::vector<at::Tensor> parts = {(labels.object_BN * 2 - 1).unsqueeze(-1),
                                   at::ones_like(labels.object_BN).unsqueeze(-1)};
  int64_t t = 0;
  for (const DenseTarget& target : task().dense_targets()) {
    parts.push_back(at::one_hot(labels.classes[t++].clamp_min(0), target.classes).to(at::kFloat));
  }
  const DenseLoss loss = dense_loss(at::cat(parts, -1) * 50, labels, task().dense_targets(), true);
  EXPECT_LT(loss.loss.item<double>(), 1e-6);
  EXPECT_EQ(loss.object_accuracy, 1.0);
  for (double accuracy : loss.accuracy) EXPECT_EQ(accuracy, 1.0);
}

TEST(DenseLossTest, ABatchWithoutScenesHasAFiniteLoss) {
  const LabelTensors labels = labels_of(3, 2, 1.0f);
  EXPECT_EQ(labels.object_BN.sum().item<double>(), 0);
  EXPECT_EQ(labels.in_task_B.sum().item<double>(), 0);
  at::Tensor logits = random_logits(labels).set_requires_grad(true);
  const DenseLoss loss = dense_loss(logits, labels, task().dense_targets(), true);
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
  EXPECT_FALSE(pretrain_vit(vit, config, task(), pre(), options, report, [&] { return steps.size() == 2; }));
  EXPECT_TRUE(pretrain_vit(vit, config, task(), pre(), options, report, never));
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
      *whole, config, task(), pre(), options, [](const PretrainReport&) {}, never);

  options.checkpoint_path = (folder.path() / "vit.safetensors").string();
  const auto killed = fresh(), resumed = fresh();
  auto kill = [](const PretrainReport& report) {
    if (report.step == 5) throw std::runtime_error("killed");
  };
  EXPECT_THROW(pretrain_vit(*killed, config, task(), pre(), options, kill, never), std::runtime_error);
  std::vector<int64_t> steps;
  pretrain_vit(
      *resumed, config, task(), pre(), options, [&](const PretrainReport& report) { steps.push_back(report.step); },
      never);
  EXPECT_EQ(steps, (std::vector<int64_t>{5, 6}));
  const auto expected = whole->named_parameters();
  for (const auto& item : resumed->named_parameters())
    EXPECT_TRUE(item.value().equal(expected[item.key()])) << item.key();
}

}  // namespace
}  // namespace sf
