#include "trainer/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/machine_fault.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/checkpoint/store.h"
#include "engine/runtime/checkpoint_model.h"
#include "tests/support/no_free_files.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_model.h"
#include "trainer/tracking/training_metrics.h"

namespace sf {
namespace {

TrainOptions toy_options(const std::filesystem::path& store) {
  TrainOptions options;
  options.model = "toy";
  options.out = store.string();
  options.vit_steps = 1;
  options.vit_batch_size = 2;
  options.steps = 8;
  options.batch_size = 2;
  options.questions = 3;
  options.evaluate_every = 100;
  options.evaluation_images = 1;
  options.publish = "all";
  options.threads = 1;
  return options;
}

// Trains until `stop_at`; the loss of every step.
std::vector<double> losses_of(const TrainOptions& options, int64_t stop_at,
                              std::vector<std::string>* messages = nullptr) {
  std::vector<double> losses;
  TrainSink sink;
  sink.message = [messages](const std::string& line) {
    if (messages) messages->push_back(line);
  };
  sink.step = [&](int64_t, int64_t, const StepReport& report) { losses.push_back(report.loss); };
  sink.evaluated = [](int64_t, const EvaluationReport&, double) {};
  sink.published = [](int64_t, int64_t, double) {};
  train(options, sink, [&] { return static_cast<int64_t>(losses.size()) >= stop_at; });
  return losses;
}

// Recorded once; a refactoring leaves it as it is. 1e-4 is room for another machine's order of f32 sums.
TEST(TrainerTest, TheLossAtAFixedSeedIsTheRecordedOne) {
  constexpr double kRecorded[] = {10.3739166, 11.6845398, 11.2359943, 11.5335464}, kTolerance = 1e-4;
  TrainOptions options = toy_options("");
  const std::vector<double> losses = losses_of(options, 4);
  ASSERT_EQ(losses.size(), std::size(kRecorded));
  for (size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(losses[i], kRecorded[i], kTolerance * kRecorded[i]) << "step " << i;
  }
}

TEST(TrainerTest, IsStoppedWhileTheVisionEncoderTrainsAlone) {
  test::TempFolder folder;
  TrainOptions options = toy_options((folder.path() / "store").string());
  options.vit_steps = 100'000;
  options.vit_batch_size = 2;
  std::vector<std::string> messages;
  EXPECT_TRUE(losses_of(options, 0, &messages).empty()) << "phase 2 has not begun";
  EXPECT_TRUE(list_versions(options.out).empty());
  ASSERT_FALSE(messages.empty());
  EXPECT_NE(messages.back().find(".pretrain_vit.safetensors"), std::string::npos) << messages.back();
}

// The early phases ask other kinds of questions: a run that stops in one must go on in it.
TEST(TrainerTest, ARunResumedInTheFirstPhaseStaysInIt) {
  test::TempFolder folder;
  const std::vector<double> whole = losses_of(toy_options(folder.path() / "whole"), 8);
  TrainOptions options = toy_options(folder.path() / "parts");
  std::vector<double> parts = losses_of(options, 1);
  options.resume = true;
  for (double loss : losses_of(options, 100)) parts.push_back(loss);
  ASSERT_EQ(parts.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_DOUBLE_EQ(parts[i], whole[i]) << "step " << i;
}

TEST(TrainerTest, AResumedRunHasTheSameLossCurve) {
  test::TempFolder folder;
  const std::vector<double> whole = losses_of(toy_options(folder.path() / "whole"), 8);
  ASSERT_EQ(whole.size(), 8u);
  TrainOptions options = toy_options(folder.path() / "parts");
  std::vector<double> parts = losses_of(options, 3);
  options.resume = true;
  for (double loss : losses_of(options, 100)) parts.push_back(loss);
  ASSERT_EQ(parts.size(), 8u);
  for (size_t i = 0; i < 8; ++i) EXPECT_DOUBLE_EQ(parts[i], whole[i]) << "step " << i;
  EXPECT_EQ(list_versions(options.out).size(), 2u);
}

// Everything that has a state or draws numbers: balance biases, noise, dropout of whole experts, and the optional
// losses.
TEST(TrainerTest, AResumedRunWithBiasBalancingHasTheSameLossCurve) {
  test::TempFolder folder;
  auto options_of = [&](const char* name) {
    TrainOptions options = toy_options(folder.path() / name);
    options.moe.bias_balancing = true;
    options.moe.drop_order = "batch_priority";
    options.moe.dropout = "expert";
    options.moe.dropout_rate = 0.2;
    options.moe.shared_hidden = 8;
    options.losses.importance = options.losses.load = options.losses.modality = 0.01;
    options.losses.bias_update_rate = 0.01;
    options.steps = 7;  // odd, so that biases that step to and fro do not end at zero
    return options;
  };
  const std::vector<double> whole = losses_of(options_of("whole"), 7);
  TrainOptions options = options_of("parts");
  std::vector<double> parts = losses_of(options, 3);
  options.resume = true;
  options.moe = {};  // config.json remembers
  for (double loss : losses_of(options, 100)) parts.push_back(loss);
  ASSERT_EQ(parts.size(), 7u);
  for (size_t i = 0; i < 7; ++i) EXPECT_DOUBLE_EQ(parts[i], whole[i]) << "step " << i;

  const VerifiedCheckpoint checkpoint = open_checkpoint(list_versions(options.out).back().path);
  const CheckpointModel model = load_checkpoint_model(checkpoint);
  EXPECT_EQ(model.config.decoder.moe.drop_order, DropOrder::kBatchPriority);
  for (const char* layer : {"0", "1"}) {
    // Seven steps of 0.01 each, and neither gradient nor decay: a whole number of them.
    const at::Tensor bias =
        model.vlm->named_parameters()[std::string("decoder.block") + layer + ".moe.router.balance_bias"];
    EXPECT_GT(bias.abs().max().item<double>(), 0.005);
    EXPECT_LT(bias.abs().max().item<double>(), 0.075);
    EXPECT_LT((bias * 100 - (bias * 100).round()).abs().max().item<double>(), 1e-4);
  }
  const Manifest& manifest = checkpoint.manifest();
  ASSERT_EQ(manifest.image_expert_histogram.size(), manifest.expert_histogram.size());
}

TEST(TrainerTest, OptionsOfTheExpertsThatNeedOtherWeightsAreRefusedWithAModelToStartFrom) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  losses_of(options, 1);
  options.init = (folder.path() / "store/1").string();
  options.out = (folder.path() / "second").string();
  options.moe.activation = "relu";
  EXPECT_THROW(losses_of(options, 1), Error);
  options.moe = {};
  options.moe.bias_balancing = true;  // starts at zero
  options.moe.drop_order = "probability";
  losses_of(options, 1);
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(list_versions(options.out).back().path));
  EXPECT_TRUE(model.config.decoder.moe.bias_balancing);
  EXPECT_EQ(model.config.decoder.moe.drop_order, DropOrder::kProbability);
}

TEST(TrainerTest, RefusesALoadLossWithoutNoise) {
  TrainOptions options = toy_options("");
  options.losses.load = 0.1;
  options.moe.noisy = false;
  EXPECT_THROW(losses_of(options, 1), Error);
}

TEST(TrainerTest, PublishBetterNeverPublishesAWorseScore) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  losses_of(options, 2);
  options.resume = true;
  options.publish = "better";
  options.evaluate_every = 1;
  losses_of(options, 100);
  double best = -1;
  for (const StoreVersion& version : list_versions(options.out)) {
    const double score = open_checkpoint(version.path).manifest().scores.at("score");
    EXPECT_GE(score, best);
    best = score;
  }
}

// One step at a huge rate ruins the bundled model: "better" keeps it to itself, "all" does not.
TEST(TrainerTest, AWorseScoreIsRefusedUnlessAllArePublished) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  options.init = test::source_dir() + "/models/demo";
  options.learning_rate = 200;
  options.steps = 1;
  options.publish = "better";
  std::vector<std::string> messages;
  losses_of(options, 1, &messages);
  EXPECT_TRUE(list_versions(options.out).empty());
  ASSERT_FALSE(messages.empty());
  EXPECT_NE(messages.back().find("below the parent's"), std::string::npos) << messages.back();
  options.publish = "all";
  losses_of(options, 1);
  ASSERT_EQ(list_versions(options.out).size(), 1u);
  const Manifest manifest = open_checkpoint(list_versions(options.out)[0].path).manifest();
  EXPECT_LT(manifest.scores.at("score"), 0.7);
  EXPECT_EQ(manifest.parent, open_checkpoint(options.init).digest());
}

TEST(TrainerTest, AKillWhileAVersionIsWrittenLeavesAStoreThatGoesOn) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  losses_of(options, 2);
  const std::filesystem::path torn = begin_version(options.out, 2);  // and then the process is gone
  write_file(torn / "model.safetensors", "half of it");
  write_file(torn / "manifest.json", "{");
  EXPECT_EQ(list_versions(options.out).size(), 1u);
  EXPECT_NO_THROW(open_checkpoint(list_versions(options.out)[0].path));
  options.resume = true;
  EXPECT_EQ(losses_of(options, 1).size(), 1u);
  const std::vector<StoreVersion> versions = list_versions(options.out);
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(open_checkpoint(versions[1].path).manifest().step, 3);
  EXPECT_EQ(open_checkpoint(versions[1].path).manifest().parent, open_checkpoint(versions[0].path).digest());
}

TEST(TrainerTest, AFaultOfTheMachineWhilePublishingIsWaitedFor) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  options.steps = 2;
  std::optional<NoFreeFiles> full;
  int naps = 0;
  options.sleep_s = [&](double) {
    if (++naps == 7) full.reset();
  };
  std::vector<std::string> messages;
  TrainSink sink;
  sink.message = [&](const std::string& line) { messages.push_back(line); };
  sink.step = [](int64_t, int64_t, const StepReport&) {};
  sink.evaluated = [&](int64_t, const EvaluationReport&, double) { full.emplace(); };
  sink.published = [](int64_t, int64_t, double) {};
  train(options, sink, [] { return false; });
  EXPECT_EQ(naps, 7) << "1 + 2 + 4 seconds";
  EXPECT_NO_THROW(open_checkpoint(list_versions(options.out).at(0).path));
  EXPECT_THAT(messages, testing::Contains(testing::HasSubstr("Too many open files; tried again in 1 s")));
}

TEST(TrainerTest, PatienceWithAFaultOfTheMachineHasAnEnd) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  options.steps = 2;
  std::optional<NoFreeFiles> full;
  int naps = 0;
  options.sleep_s = [&](double) { ++naps; };
  TrainSink sink;
  sink.message = [](const std::string&) {};
  sink.step = [](int64_t, int64_t, const StepReport&) {};
  sink.evaluated = [&](int64_t, const EvaluationReport&, double) { full.emplace(); };
  sink.published = [](int64_t, int64_t, double) {};
  EXPECT_THROW(train(options, sink, [] { return false; }), MachineFault);
  EXPECT_LE(naps, 420);
}

TEST(TrainerTest, KeepsAsManyVersionsAsItWasTold) {
  test::TempFolder folder;
  TrainOptions options = toy_options(folder.path() / "store");
  options.steps = 4;
  options.evaluate_every = 1;
  options.keep = 2;
  losses_of(options, 100);
  const std::vector<StoreVersion> versions = list_versions(options.out);
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].number, 3);
  EXPECT_EQ(versions[1].number, 4);
}

TEST(TrainerTest, StartsFromACheckpointAndTrainsOnAUsersRows) {
  test::TempFolder folder;
  write_file(folder.path() / "red.png", test::random_image(1, 80, 80));
  write_file(folder.path() / "rows.jsonl", R"({"image": "red.png", "question": "what is it?", "answer": "a picture"})"
                                           "\n"
                                           R"({"image": "gone.png", "question": "?", "answer": "x"})"
                                           "\n");
  TrainOptions options = toy_options(folder.path() / "store");
  losses_of(options, 1);
  options.init = (folder.path() / "store/1").string();
  options.out.clear();
  options.data = (folder.path() / "rows.jsonl").string();
  EXPECT_THROW(losses_of(options, 1), Error);  // one bad row, none allowed
  options.max_bad_rows = 1;
  EXPECT_EQ(losses_of(options, 2).size(), 2u);
}

TEST(TrainerTest, NamesTheOptionAtFault) {
  test::TempFolder folder;
  auto refused = [&](const std::function<void(TrainOptions&)>& change, const std::string& named) {
    TrainOptions options = toy_options(folder.path() / "store");
    change(options);
    try {
      losses_of(options, 1);
      ADD_FAILURE() << named << " accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    }
  };
  refused([](TrainOptions& o) { o.publish = "always"; }, "publish");
  refused([](TrainOptions& o) { o.batch_size = 0; }, "batch-size");
  refused([](TrainOptions& o) { o.model = "huge"; }, "huge");
  refused([](TrainOptions& o) { o.init = "/nowhere"; }, "nowhere");
  refused(
      [](TrainOptions& o) {
        o.resume = true;
        o.out.clear();
      },
      "resume");
}

TEST(TrainingMetricsTest, HasEveryFamilyFromTheFirstScrape) {
  const std::string text = TrainingMetrics().text();
  for (const char* family : {"loss", "accuracy", "tokens_total", "steps_total", "expert_tokens_total", "dropped_ratio",
                             "max_violation_ratio", "dead_experts", "checkpoint_step"}) {
    const std::string name = std::string("sparsefusion_train_") + family;
    EXPECT_NE(text.find("# HELP " + name + " "), std::string::npos) << name;
    EXPECT_NE(text.find("\n" + name), std::string::npos) << name;
  }
  for (int k = 0; k < data::kNumKinds; ++k) {
    EXPECT_NE(text.find("kind=\"" + std::string(data::kind_name(static_cast<data::Kind>(k))) + "\""), std::string::npos)
        << k;
  }
}

TEST(TrainingMetricsTest, ShowsWhatAStepAndAnEvaluationSay) {
  TrainingMetrics metrics;
  StepReport report;
  report.layers.push_back({0, {3, 1, 0, 0}, 4, 1});
  metrics.on_step(1, report);
  EvaluationReport evaluation;
  evaluation.kinds[data::kShape] = {.asked = 4, .right = 3};
  metrics.on_evaluated(evaluation);
  metrics.on_published(1);
  const std::string text = metrics.text();
  for (const char* line :
       {"sparsefusion_train_loss{part=\"answer\"}", "sparsefusion_train_accuracy{kind=\"shape\"} 0.75",
        "sparsefusion_train_tokens_total", "sparsefusion_train_steps_total 1",
        "sparsefusion_train_dropped_ratio{layer=\"0\"} 0.25", "sparsefusion_train_max_violation_ratio{layer=\"0\"} 1",
        "sparsefusion_train_dead_experts{layer=\"0\"} 1", "sparsefusion_train_checkpoint_step 1",
        "modality=\"image\""}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

}  // namespace
}  // namespace sf
