#include "engine/runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

int draw(const at::Tensor& logits, SamplingParams params, int64_t position) {
  return static_cast<int>(sample(logits.unsqueeze(0), {{params, position}}).ids_S[0].item<int64_t>());
}

TEST(SamplerTest, TopKOneAndATinyTopPAreGreedy) {
  torch::manual_seed(1);
  for (int64_t i = 0; i < 20; ++i) {
    at::Tensor logits = torch::randn({50});
    const int best = static_cast<int>(logits.argmax().item<int64_t>());
    EXPECT_EQ(draw(logits, {}, i), best);
    EXPECT_EQ(draw(logits, {.temperature = 1.5f, .top_k = 1, .seed = 9}, i), best);
    EXPECT_EQ(draw(logits, {.temperature = 1.5f, .top_p = 1e-6f, .seed = 9}, i), best);
  }
}

TEST(SamplerTest, ExtremesOfTheParametersAreGreedyToo) {
  torch::manual_seed(2);
  for (int64_t i = 0; i < 20; ++i) {
    for (double shift : {-100.0, 0.0, 100.0}) {  // all logits negative, mixed, all positive
      at::Tensor logits = torch::randperm(30).to(at::kFloat) / 10 + shift;
      const int best = static_cast<int>(logits.argmax().item<int64_t>());
      for (float temperature : {1e-6f, 1e-38f, 1e-45f})
        EXPECT_EQ(draw(logits, {.temperature = temperature, .seed = 4}, i), best);
      EXPECT_EQ(draw(logits, {.temperature = 1.0f, .top_p = 0.0f, .seed = 4}, i), best);
    }
  }
}

TEST(SamplerTest, ARowIsDrawnAsItWouldBeAlone) {
  torch::manual_seed(3);
  at::Tensor logits = torch::randn({5, 40});
  std::vector<SamplingRow> rows = {{{}, 3},
                                   {{.temperature = 0.7f, .seed = 1}, 3},
                                   {{.temperature = 1.3f, .top_k = 9, .seed = 1}, 4},
                                   {{.temperature = 2.0f, .top_p = 0.9f, .seed = uint64_t(-1)}, 5},
                                   {{.temperature = 0.7f, .seed = 2}, 3}};
  const Sampled together = sample(logits, rows);
  for (int64_t i = 0; i < 5; ++i) {
    const Sampled alone = sample(logits.narrow(0, i, 1), {rows[i]});
    EXPECT_EQ(together.ids_S[i].item<int64_t>(), alone.ids_S[0].item<int64_t>()) << i;
    const double logprob =
        at::log_softmax(logits[i], 0)[alone.ids_S[0]].item<double>();  // of the untempered distribution
    EXPECT_NEAR(together.logprobs_S[i].item<double>(), logprob, 1e-6);
  }
}

TEST(SamplerTest, EqualLogitsAreAllDrawnAndGreedyTakesTheFirst) {
  const at::Tensor logits = at::zeros({4});
  EXPECT_EQ(draw(logits, {}, 0), 0);
  std::vector<int> counts(4);
  for (int i = 0; i < 400; ++i) ++counts[draw(logits, {.temperature = 1.0f, .seed = 8}, i)];
  for (int count : counts) EXPECT_NEAR(count, 100, 5 * std::sqrt(400 * 0.25 * 0.75));  // five standard deviations
}

TEST(SamplerTest, FrequenciesFollowTheTemperedSoftmax) {
  at::Tensor logits = torch::tensor({1.0f, 0.0f, -1.0f, 2.0f});
  at::Tensor expected = at::softmax(logits / 0.8, 0);
  std::vector<int> counts(4);
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) ++counts[draw(logits, {.temperature = 0.8f, .seed = 5}, i)];
  for (int v = 0; v < 4; ++v) {
    const double p = expected[v].item<double>();
    EXPECT_NEAR(double(counts[v]) / kDraws, p, 4 * std::sqrt(p * (1 - p) / kDraws));  // four standard deviations
  }
}

TEST(SamplerTest, TopPAndTopKCutTheTail) {
  at::Tensor logits = torch::tensor({3.0f, 2.0f, 1.0f, 0.0f});
  for (int i = 0; i < 300; ++i) {
    EXPECT_LE(draw(logits, {.temperature = 2.0f, .top_k = 2, .seed = 1}, i), 1);
    EXPECT_LE(draw(logits, {.temperature = 1.0f, .top_p = 0.8f, .seed = 1}, i), 1);  // .64 + .24 covers .8
  }
}

TEST(SamplerTest, ReportsLogitsThatAreNotFinite) {
  at::Tensor logits = at::zeros({2, 4});
  logits[1][2] = std::numeric_limits<float>::quiet_NaN();
  for (float temperature : {0.0f, 1.0f}) {
    const SamplingParams params{.temperature = temperature};
    const Sampled sampled = sample(logits, {{params, 0}, {params, 0}});
    EXPECT_TRUE(sampled.finite_S[0].item<bool>());
    EXPECT_FALSE(sampled.finite_S[1].item<bool>());
    EXPECT_TRUE(sampled.ids_S.ge(0).logical_and(sampled.ids_S.lt(4)).all().item<bool>());
  }
}

TEST(CounterUniformTest, LiesInsideTheUnitIntervalAndDependsOnAllThree) {
  for (uint64_t i = 0; i < 1000; ++i) {
    const double u = counter_uniform(i * 7, i, i * 3);
    EXPECT_GT(u, 0);
    EXPECT_LT(u, 1);
  }
  EXPECT_NE(counter_uniform(1, 2, 3), counter_uniform(2, 2, 3));
  EXPECT_NE(counter_uniform(1, 2, 3), counter_uniform(1, 3, 3));
  EXPECT_NE(counter_uniform(1, 2, 3), counter_uniform(1, 2, 4));
}

}  // namespace
}  // namespace sf
