// Penalties, biases and masked end tokens against their formulas, in the sampler and in a whole engine.
#include "engine/runtime/logits_processors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "engine/runtime/sampler.h"
#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

constexpr float kMinus = -std::numeric_limits<float>::infinity();

std::vector<float> processed(const std::vector<float>& logits, const SamplingParams& params,
                             const std::vector<int>& prompt, const std::vector<int>& answer,
                             const std::vector<int>& ends = {}) {
  const at::Tensor before = torch::tensor(logits);
  const at::Tensor out = process_logits(before, {params, prompt, answer, ends});
  EXPECT_TRUE(at::equal(before, torch::tensor(logits))) << "the row itself stays";
  return {out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel()};
}

TEST(LogitsProcessorsTest, RepetitionCountsPromptAndAnswer) {
  SamplingParams params;
  params.repetition_penalty = 2;
  EXPECT_EQ(processed({4, -4, 4, -4, 1}, params, {0, 0, 1}, {2, 3, 3}), (std::vector<float>{2, -8, 2, -8, 1}));
}

TEST(LogitsProcessorsTest, PresenceAndFrequencyCountTheAnswerAlone) {
  SamplingParams params;
  params.presence_penalty = 0.5f;
  EXPECT_EQ(processed({1, 1, 1, 1}, params, {0, 0}, {1, 2, 2}), (std::vector<float>{1, 0.5f, 0.5f, 1}));
  params.presence_penalty = 0;
  params.frequency_penalty = 0.25f;
  EXPECT_EQ(processed({1, 1, 1, 1}, params, {0, 0}, {1, 2, 2}), (std::vector<float>{1, 0.75f, 0.5f, 1}));
  params.frequency_penalty = -1;
  EXPECT_EQ(processed({1, 1}, params, {}, {1, 1, 1}), (std::vector<float>{1, 4}));
}

TEST(LogitsProcessorsTest, BiasesAndMasksComeBeforePenalties) {
  SamplingParams params;
  params.logit_bias = {{0, 3.0f}, {1, -100.0f}, {99, 5.0f}};
  EXPECT_EQ(processed({1, 1, 1}, params, {}, {}), (std::vector<float>{4, -99, 1}));
  params.repetition_penalty = 2;
  EXPECT_EQ(processed({1, 1, 1}, params, {0}, {}), (std::vector<float>{2, -99, 1}));
  params = {};
  params.ignore_eos = true;
  params.repetition_penalty = 2;
  params.presence_penalty = 1;
  EXPECT_EQ(processed({1, 1, 1}, params, {}, {2}, {2, 7}), (std::vector<float>{1, 1, kMinus}));
}

TEST(LogitsProcessorsTest, EndTokensAreMaskedUntilMinTokens) {
  SamplingParams params;
  params.min_tokens = 2;
  for (const std::vector<int>& answer : {std::vector<int>{}, std::vector<int>{1}}) {
    ASSERT_TRUE(changes_logits({params, {}, answer, {}}));
    EXPECT_EQ(processed({5, 1, 5}, params, {}, answer, {0, 2}), (std::vector<float>{kMinus, 1, kMinus}));
  }
  const std::vector<int> enough = {1, 1};
  EXPECT_FALSE(changes_logits({params, {}, enough, {}}));
}

TEST(LogitsProcessorsTest, IdsOutsideTheVocabularyAreSkipped) {
  SamplingParams params;
  params.repetition_penalty = 2;
  EXPECT_EQ(processed({4, 4}, params, {-1, 5, 1}, {1 << 30}), (std::vector<float>{4, 2}));
  EXPECT_EQ(processed({4, 4}, params, {-1}, {}), (std::vector<float>{4, 4}));
}

TEST(LogitsProcessorsTest, AgainstAPlainLoop) {
  torch::manual_seed(7);
  std::vector<int> prompt, answer;
  for (int i = 0; i < 40; ++i) prompt.push_back(i * 7 % 50), answer.push_back(i * i % 60);
  SamplingParams params;
  params.presence_penalty = 0.7f;
  params.frequency_penalty = 0.3f;
  params.repetition_penalty = 1.3f;
  params.logit_bias = {{3, 1.5f}, {59, -2.0f}};
  const at::Tensor logits = torch::randn({64}) * 3;
  const at::Tensor out = process_logits(logits, {params, prompt, answer, {}});
  for (int t = 0; t < 64; ++t) {
    const auto said = std::count(answer.begin(), answer.end(), t);
    const bool seen = said > 0 || std::count(prompt.begin(), prompt.end(), t) > 0;
    float z = logits[t].item<float>() + (t == 3 ? 1.5f : t == 59 ? -2.0f : 0.0f);
    if (seen) z = z > 0 ? z / 1.3f : z * 1.3f;
    z -= 0.3f * static_cast<float>(said) + (said > 0 ? 0.7f : 0.0f);
    EXPECT_FLOAT_EQ(out[t].item<float>(), z) << t;
  }
}

TEST(LogitsProcessorsTest, TheSamplerReportsTheModelsOwnProbabilities) {
  const at::Tensor logits = torch::tensor({3.0f, 2.0f, 1.0f}).unsqueeze(0);
  SamplingParams params;
  params.logit_bias = {{0, -100.0f}};
  params.top_logprobs = 3;
  for (const float temperature : {0.0f, 1e-6f}) {
    params.temperature = temperature;
    const Sampled sampled = sample(logits, {{.params = params, .position = 1}});
    EXPECT_EQ(sampled.ids_S[0].item<int64_t>(), 1);
    const at::Tensor logprobs = at::log_softmax(logits[0], 0);
    EXPECT_EQ(sampled.logprobs_S[0].item<float>(), logprobs[1].item<float>());
    EXPECT_EQ(sampled.details[0].item<float>(), 0) << "the likeliest token of the model, not of the request";
    EXPECT_TRUE(sampled.finite_S[0].item<bool>());
  }
}

// Bit for bit, whatever the mates ask for.
TEST(LogitsProcessorsTest, ARowDoesNotChangeItsBatchMates) {
  torch::manual_seed(3);
  const at::Tensor logits = torch::randn({4, 40});
  const std::vector<int> said = {1, 2, 3, 3}, ends = {0};
  std::vector<SamplingRow> plain = {{.params = {}, .position = 3},
                                    {.params = {.temperature = 0.7f, .seed = 1}, .position = 3},
                                    {.params = {}, .position = 4},
                                    {.params = {.temperature = 1.5f, .top_k = 9, .seed = 2}, .position = 5}};
  std::vector<SamplingRow> mixed = plain;
  for (const size_t i : {0, 3}) {
    mixed[i].params.repetition_penalty = 5;
    mixed[i].params.frequency_penalty = 2;
    mixed[i].params.ignore_eos = true;
    mixed[i].params.logit_bias = {{7, 100.0f}};
    mixed[i].answer = said;
    mixed[i].end_tokens = ends;
  }
  const Sampled before = sample(logits, plain), after = sample(logits, mixed);
  for (const int64_t i : {1, 2}) {
    EXPECT_EQ(after.ids_S[i].item<int64_t>(), before.ids_S[i].item<int64_t>());
    EXPECT_EQ(after.logprobs_S[i].item<float>(), before.logprobs_S[i].item<float>());
  }
  for (const int64_t i : {0, 3}) {
    const Sampled alone = sample(logits.narrow(0, i, 1), {mixed[static_cast<size_t>(i)]});
    EXPECT_EQ(after.ids_S[i].item<int64_t>(), alone.ids_S[0].item<int64_t>()) << i;
    EXPECT_EQ(after.ids_S[i].item<int64_t>(), 7) << i;
  }
}

class EngineLogitsTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_checkpoint(folder_.path(), 11);
    engine_ = make_torch_engine(open_checkpoint(folder_.path()), {.threads = 1, .kv_cache_mib = 2});
  }
  test::Outcome answer(const SamplingParams& sampling, int question = 0) {
    return test::answer_alone(*engine_, test::ask(1, question), sampling);
  }
  static SamplingParams biased(std::vector<std::pair<int, float>> bias) {
    SamplingParams sampling;
    sampling.logit_bias = std::move(bias);
    return sampling;
  }
  // The token that ends an answer: the one that nothing but an answer of its own has.
  int end_token() {
    for (int id = 0; id < engine_->info().vocab_size; ++id) {
      const SequenceId sequence = engine_->admit(engine_->prepare(test::ask(1, 0)), biased({{id, 100.0f}}));
      const StepResult step = engine_->step({{{sequence, engine_->tokens_to_compute(sequence)}}});
      engine_->release(sequence);
      EXPECT_EQ(step.sequences[0].tokens, std::vector<int>{id});
      if (step.sequences[0].stop_token) return id;
    }
    return -1;
  }

  test::TempFolder folder_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineLogitsTest, AnAnswerThatIgnoresTheEndIsAsLongAsAsked) {
  const int end = end_token();
  ASSERT_GE(end, 0);
  SamplingParams sampling = biased({{end, 100.0f}});
  EXPECT_EQ(answer(sampling).tokens.size(), 1u);
  sampling.min_tokens = 4;
  const test::Outcome fifth = answer(sampling);
  ASSERT_EQ(fifth.tokens.size(), 5u) << "four, then the end";
  EXPECT_EQ(fifth.tokens.back(), end);
  sampling.ignore_eos = true;
  EXPECT_EQ(answer(sampling).tokens.size(), test::kAnswerTokens);
}

TEST_F(EngineLogitsTest, PenaltiesMoveAnAnswerOn) {
  const int end = end_token();
  SamplingParams sampling = biased({{end == 5 ? 6 : 5, 50.0f}});
  sampling.ignore_eos = true;
  for (const int token : answer(sampling).tokens) EXPECT_EQ(token, sampling.logit_bias[0].first);
  sampling.frequency_penalty = 2;
  sampling.presence_penalty = 2;
  sampling.logit_bias[0].second = 1;
  std::map<int, int> counts;
  for (const int token : answer(sampling).tokens) ++counts[token];
  EXPECT_GT(counts.size(), 1u);
}

// Other tokens of the third take other experts, so sums may round differently: the tokens are the same all the same.
TEST_F(EngineLogitsTest, PenaltiesOfOneDoNotChangeItsMates) {
  const auto run = [&](bool penalised) {
    std::vector<SequenceId> ids;
    std::vector<test::Outcome> answers(3);
    for (int i = 0; i < 3; ++i) {
      SamplingParams sampling{.temperature = i == 1 ? 1.0f : 0.0f, .seed = 5};
      sampling.ignore_eos = i == 2;  // of equal length both times
      if (i == 2 && penalised) {
        sampling.repetition_penalty = 3;
        sampling.frequency_penalty = 2;
        sampling.logit_bias = {{3, -100.0f}};
      }
      ids.push_back(engine_->admit(engine_->prepare(test::ask(i, i)), sampling));
    }
    std::vector<bool> going(3, true);
    for (int step = 0; step < 4; ++step) {
      StepPlan plan;
      for (int i = 0; i < 3; ++i) {
        if (going[i]) plan.items.push_back({ids[i], engine_->tokens_to_compute(ids[i])});
      }
      const StepResult result = engine_->step(plan);
      size_t at = 0;
      for (int i = 0; i < 3; ++i) {
        if (going[i]) going[i] = answers[i].take(result.sequences[at++]);
      }
    }
    for (const SequenceId id : ids) engine_->release(id);
    return answers;
  };
  const std::vector<test::Outcome> plain = run(false), penalised = run(true);
  for (int i = 0; i < 2; ++i) {
    test::expect_same(plain[i], penalised[i]);
  }
}

TEST_F(EngineLogitsTest, PenaltiesOutliveAPreemption) {
  SamplingParams sampling;
  sampling.repetition_penalty = 2;
  sampling.presence_penalty = 1;
  sampling.min_tokens = static_cast<int>(test::kAnswerTokens);
  const test::Outcome whole = answer(sampling, 4);
  const SequenceId id = engine_->admit(engine_->prepare(test::ask(1, 4)), sampling);
  test::Outcome preempted;
  for (bool going = true; going;) {
    going = preempted.take(engine_->step({{{id, engine_->tokens_to_compute(id)}}}).sequences[0]);
    engine_->preempt(id);
  }
  engine_->release(id);
  EXPECT_EQ(preempted.tokens, whole.tokens);
}

TEST_F(EngineLogitsTest, TheVocabularyIsTold) {
  const int size = engine_->info().vocab_size;
  ASSERT_GT(size, 0);
  EXPECT_NO_THROW(check_logit_bias(biased({{size - 1, 1.0f}}), engine_->info()));
  EXPECT_THROW(check_logit_bias(biased({{size, 1.0f}}), engine_->info()), Error);
}

TEST_F(EngineLogitsTest, AnExplanationIsDrawnAlike) {
  SamplingParams sampling{.max_tokens = 6};
  sampling.repetition_penalty = 3;
  sampling.ignore_eos = true;
  std::vector<int> answered = answer(sampling, 2).tokens;
  answered.resize(6);
  const Explanation explained =
      engine_->explain(*engine_->prepare(test::ask(1, 2)), sampling, {.max_tokens = 6}, [] {});
  std::vector<int> tokens;
  for (const ExplainedToken& token : explained.tokens) tokens.push_back(token.id);
  EXPECT_EQ(tokens, answered);
}

}  // namespace
}  // namespace sf
