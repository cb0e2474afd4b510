// What goes wrong inside a step stays with the sequence it belongs to.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/store.h"
#include "engine/runtime/torch_engine.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

std::unique_ptr<Engine> engine_of(const Vlm& vlm, TorchEngineOptions options = {.threads = 1, .kv_cache_mib = 1}) {
  test::TempFolder folder;
  test::write_checkpoint_of(vlm, folder.path());
  return make_torch_engine(open_checkpoint(folder.path()), options);
}

PreparedPromptPtr prompt_of(const Engine& engine, uint64_t seed, int width, int height) {
  return engine.prepare(
      {{"user", {{Part::Kind::kImage, test::random_image(seed, width, height)}, {Part::Kind::kText, "count red"}}}});
}

// The tokens of a greedy answer, at most `limit`.
std::vector<int> answer_of(Engine& engine, const PreparedPromptPtr& prompt, int limit = 8) {
  const SequenceId id = engine.admit(prompt, {});
  std::vector<int> tokens;
  while (static_cast<int>(tokens.size()) < limit) {
    const SequenceStepResult out = engine.step({{{id, engine.tokens_to_compute(id)}}}).sequences[0];
    if (out.error) break;
    tokens.insert(tokens.end(), out.tokens.begin(), out.tokens.end());
    if (out.stop_token) break;
  }
  engine.release(id);
  return tokens;
}

TEST(EngineLimitsTest, PreprocessorConfigSaysWhatConfigJsonSays) {
  test::TempFolder folder;
  test::write_checkpoint_of(*test::tiny_vlm(11), folder.path());
  const auto load_with = [&](const std::string& json) {
    write_file(folder.path() / "preprocessor_config.json", json);
    write_checkpoint_manifest(folder.path(), {});
    make_torch_engine(open_checkpoint(folder.path()), {.threads = 1, .kv_cache_mib = 1});
  };
  load_with(preprocessor_json(test::tiny_config().image));
  load_with(R"({"image_processor_type": "of another program"})");
  for (const char* bad : {"not json", "[]", R"({"image_mean": [100, 100, 100]})", R"({"resample": "nearest"})"}) {
    EXPECT_THROW(load_with(bad), Error) << bad;
  }
}

TEST(EngineLimitsTest, RandomWeightsGiveAnswersThatDiffer) {
  const auto engine = engine_of(*test::tiny_vlm(11));
  std::set<std::vector<int>> answers;
  for (uint64_t seed = 0; seed < 8; ++seed) answers.insert(answer_of(*engine, prompt_of(*engine, seed, 80, 80)));
  EXPECT_GE(answers.size(), 3u);  // or the differential tests would compare constants
}

// Positions of rows 13 and later are broken: images twice as high as wide need them, square ones do not.
TEST(EngineLimitsTest, LogitsThatAreNotFiniteAreTheErrorOfTheirSequenceAlone) {
  const auto vlm = test::tiny_vlm(11);
  {
    torch::NoGradGuard no_grad;
    vlm->named_parameters()["vision.row_embedding"].slice(0, 12).fill_(std::numeric_limits<float>::quiet_NaN());
  }
  const auto engine = engine_of(*vlm);
  const PreparedPromptPtr square = prompt_of(*engine, 1, 80, 80), tall = prompt_of(*engine, 2, 64, 128);
  const std::vector<int> expected = answer_of(*engine, square);
  for (float temperature : {0.0f, 1.0f}) {
    const SequenceId good = engine->admit(square, {}), bad = engine->admit(tall, {.temperature = temperature});
    const StepResult step = engine->step({{{bad, 1000}, {good, 1000}}});
    EXPECT_EQ(step.nonfinite_logits, 1);
    ASSERT_TRUE(step.sequences[0].error.has_value());
    EXPECT_EQ(step.sequences[0].error->code(), Code::kInternal);
    EXPECT_TRUE(step.sequences[0].tokens.empty());
    EXPECT_FALSE(step.sequences[1].error.has_value());
    EXPECT_EQ(step.sequences[1].tokens, std::vector<int>{expected.front()});
    for (float mass : step.moe.gate_mass) EXPECT_TRUE(std::isfinite(mass));
    engine->release(bad);
    engine->release(good);
    EXPECT_EQ(answer_of(*engine, square), expected);  // on the pages that held broken keys and values
  }
}

TEST(EngineLimitsTest, ACacheLargerThanAllMemoryIsRefusedByName) {
  for (const int64_t mebibytes : {int64_t{1} << 34, std::numeric_limits<int64_t>::max()}) {
    try {
      engine_of(*test::tiny_vlm(11), {.device = "cpu", .threads = 1, .kv_cache_mib = mebibytes});
      ADD_FAILURE() << mebibytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kFailedPrecondition);
      EXPECT_EQ(error.field(), "kv-cache-mib");
    }
  }
}

TEST(EngineLimitsTest, BeyondTheContextIsAnErrorOfThatSequence) {
  const auto engine = engine_of(*test::tiny_vlm(11), {.threads = 1, .max_context = 48, .kv_cache_mib = 1});
  EXPECT_EQ(engine->info().max_context, 48);
  const PreparedPromptPtr prompt = prompt_of(*engine, 1, 80, 80);
  const int room = 48 - prompt->num_tokens();
  ASSERT_GT(room, 0);
  const SequenceId id = engine->admit(prompt, {.temperature = 1.0f, .seed = 3}), mate = engine->admit(prompt, {});
  engine->step({{{id, 1000}}});
  for (int i = 0; i < room; ++i) EXPECT_FALSE(engine->step({{{id, 1}}}).sequences[0].error.has_value()) << i;
  const StepResult step = engine->step({{{id, 1}, {mate, 1000}}});
  EXPECT_TRUE(step.sequences[0].error.has_value());
  EXPECT_EQ(step.sequences[1].tokens.size(), 1u);
  engine->release(id);
  engine->release(mate);
  engine->release(mate);  // unknown ids are ignored
  engine->preempt(mate);
  EXPECT_THROW(engine->tokens_to_compute(mate), Error);
  EXPECT_EQ(engine->cache_usage().used_pages, 0);
}

TEST(EngineLimitsTest, WarmingUpLeavesNothingBehind) {
  const auto engine = engine_of(*test::tiny_vlm(11));
  const std::vector<int> expected = answer_of(*engine, prompt_of(*engine, 1, 80, 80));
  engine->warm_up();
  EXPECT_EQ(engine->cache_usage().used_pages, 0);
  EXPECT_EQ(answer_of(*engine, prompt_of(*engine, 1, 80, 80)), expected);
}

TEST(EngineLimitsTest, AnEmptyPlanDoesNothing) {
  const auto engine = engine_of(*test::tiny_vlm(11));
  EXPECT_TRUE(engine->step({}).sequences.empty());
}

}  // namespace
}  // namespace sf
