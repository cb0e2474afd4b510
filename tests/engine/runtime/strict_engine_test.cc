// A whole engine with --capacity-mode strict: one request gives one answer, though experts drop.
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/torch_engine.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr double kStrictTolerance = 1e-4;  // of log-probabilities: f32, other batch shapes round differently

struct StrictAnswer {
  std::vector<int> tokens;
  std::vector<float> logprobs;
  uint32_t overflow = 0;
};

class StrictEngineTest : public testing::Test {
 protected:
  StrictEngineTest() {
    test::write_tiny_checkpoint(folder_.path(), 11);
    engine_ = make("strict");
  }

  // Half of an even load: about half of the assignments are dropped.
  std::unique_ptr<Engine> make(const std::string& mode) const {
    TorchEngineOptions options;
    options.device = "cpu";
    options.threads = 1;
    options.kv_cache_mib = 1;
    options.capacity_mode = mode;
    options.capacity_factor = 0.5;
    return make_torch_engine(open_checkpoint(folder_.path()), options);
  }

  static SequenceId admit(Engine& engine, uint64_t seed) {
    const int side = 64 + int(seed * 37 % 90);
    return engine.admit(
        engine.prepare({{"user",
                         {{Part::Kind::kImage, test::random_image(seed, side, side + 20)},
                          {Part::Kind::kText, seed % 2 ? "what shape is the red object?" : "count blue"}}}}),
        {});
  }

  // false at the answer's end.
  static bool take(const SequenceStepResult& out, StrictAnswer& answer) {
    EXPECT_FALSE(out.error);
    answer.tokens.insert(answer.tokens.end(), out.tokens.begin(), out.tokens.end());
    answer.logprobs.insert(answer.logprobs.end(), out.logprobs.begin(), out.logprobs.end());
    answer.overflow += out.overflow_tokens;
    return !out.stop_token && answer.tokens.size() < 10;
  }

  StrictAnswer alone(Engine& engine, uint64_t seed, int chunk, int preempt_every = 0) const {
    const SequenceId id = admit(engine, seed);
    StrictAnswer answer;
    for (int n = 1; take(engine.step({{{id, std::min(chunk, engine.tokens_to_compute(id))}}}).sequences[0], answer);
         ++n) {
      if (preempt_every > 0 && answer.tokens.size() > 0 && n % preempt_every == 0) engine.preempt(id);
    }
    engine.release(id);
    return answer;
  }

  static void expect_equal(const StrictAnswer& a, const StrictAnswer& b, bool same_overflow = true) {
    EXPECT_EQ(a.tokens, b.tokens);
    ASSERT_EQ(a.logprobs.size(), b.logprobs.size());
    for (size_t i = 0; i < a.logprobs.size(); ++i) EXPECT_NEAR(a.logprobs[i], b.logprobs[i], kStrictTolerance);
    if (!same_overflow) return;
    EXPECT_EQ(a.overflow, b.overflow);
  }

  test::TempFolder folder_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(StrictEngineTest, DropsSoThatAnswersDifferFromAccounting) {
  const auto account = make("account");
  bool differs = false;
  for (uint64_t seed : {1, 2, 3}) {
    const StrictAnswer strict = alone(*engine_, seed, 1000), counted = alone(*account, seed, 1000);
    EXPECT_GT(strict.overflow, 0u);
    differs |= std::abs(strict.logprobs[0] - counted.logprobs[0]) > 10 * kStrictTolerance;
  }
  EXPECT_TRUE(differs);
}

TEST_F(StrictEngineTest, ChunksGiveTheWholePromptsAnswer) {
  for (uint64_t seed : {1, 2}) {
    const StrictAnswer whole = alone(*engine_, seed, 1000);
    for (int chunk : {1, 7, 16, 33}) expect_equal(alone(*engine_, seed, chunk), whole);
  }
}

TEST_F(StrictEngineTest, BatchMatesChangeNothing) {
  std::vector<StrictAnswer> lonely, together(4);
  std::vector<SequenceId> ids;
  std::vector<bool> running(4, true);
  for (uint64_t seed = 0; seed < 4; ++seed) lonely.push_back(alone(*engine_, seed, 1000));
  for (uint64_t seed = 0; seed < 4; ++seed) ids.push_back(admit(*engine_, seed));
  for (int step = 0; step < 40; ++step) {
    StepPlan plan;
    std::vector<size_t> who;
    for (size_t i = 0; i < 4; ++i) {
      if (!running[i] || step < int(i)) continue;  // one more joins every step
      plan.items.push_back({ids[i], std::min(20, engine_->tokens_to_compute(ids[i]))});
      who.push_back(i);
    }
    if (plan.items.empty()) break;
    const StepResult result = engine_->step(plan);
    for (size_t i = 0; i < who.size(); ++i) running[who[i]] = take(result.sequences[i], together[who[i]]);
  }
  for (size_t i = 0; i < 4; ++i) expect_equal(together[i], lonely[i]);
}

TEST_F(StrictEngineTest, PreemptionChangesNothing) {
  const StrictAnswer whole = alone(*engine_, 3, 1000);
  expect_equal(alone(*engine_, 3, 1000, 2), whole, /*same_overflow=*/false);  // what is computed again is counted again
}

TEST_F(StrictEngineTest, RefusesAnOrderThatIsNotCausalAndAnUnknownMode) {
  auto refusal = [&](const std::string& mode) -> std::string {
    try {
      make(mode);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(refusal("drop").find("account or strict"), std::string::npos);
  ModelConfig config = test::tiny_config();
  config.decoder.moe.drop_order = DropOrder::kBatchPriority;
  test::write_checkpoint_of(Vlm(config), folder_.path());
  EXPECT_NE(refusal("strict").find("batch_priority"), std::string::npos);
  EXPECT_EQ(refusal("account"), "accepted");
}

}  // namespace
}  // namespace sf
