#include "engine/runtime/choice_trie.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace sf {
namespace {

constexpr int kEnd = 2;

double total(const ChosenAnswer& chosen) {
  return std::accumulate(chosen.probabilities.begin(), chosen.probabilities.end(), 0.0);
}

float logit(double p) { return static_cast<float>(std::log(p)); }

TEST(ChoiceTrieTest, DifferentFirstTokensCostNothingBeyondThePrompt) {
  const ChoiceTrie trie({"circle", "square"}, {{10, 11, 12}, {20, 21}}, kEnd);
  ASSERT_EQ(trie.branches().size(), 1u);
  EXPECT_TRUE(trie.branches()[0].path.empty());
  EXPECT_EQ(trie.branches()[0].children, (std::vector<int>{10, 20}));
  EXPECT_EQ(trie.num_tokens, 0);
  EXPECT_EQ(trie.longest_tokens, 4);
  const ChosenAnswer chosen =
      trie.choose({{logit(0.02), logit(0.06)}}, {}, 5);  // the rest of the vocabulary is left out
  EXPECT_EQ(chosen.index, 1);
  EXPECT_EQ(chosen.num_tokens, 3);
  EXPECT_NEAR(chosen.probabilities[1], 0.75, 1e-6);
  EXPECT_NEAR(total(chosen), 1, 1e-12);
}

TEST(ChoiceTrieTest, APrefixOfAnotherChoiceEndsWhereTheOtherGoesOn) {
  const ChoiceTrie trie({"blue", "blue circle"}, {{7}, {7, 8}}, kEnd);
  ASSERT_EQ(trie.branches().size(), 1u);  // behind the prompt there is only one way
  EXPECT_EQ(trie.branches()[0].path, std::vector<int>{7});
  EXPECT_EQ(trie.branches()[0].children, (std::vector<int>{kEnd, 8}));
  EXPECT_EQ(trie.num_tokens, 1);
  const ChosenAnswer chosen = trie.choose({{logit(0.1), logit(0.3)}}, {}, 5);
  EXPECT_EQ(chosen.index, 1);
  EXPECT_NEAR(chosen.probabilities[0], 0.25, 1e-6);
}

TEST(ChoiceTrieTest, TheLikeliestWholeChoiceAnswersNotTheLikeliestFirstToken) {
  // 0.6 goes to 1, but its two ends have 0.3 each.
  const ChoiceTrie trie({"a", "b", "c"}, {{1, 3}, {1, 4}, {5}}, kEnd);
  ASSERT_EQ(trie.branches().size(), 2u);
  const ChosenAnswer chosen = trie.choose({{logit(0.6), logit(0.4)}, {logit(0.01), logit(0.01)}}, {}, 5);
  EXPECT_EQ(chosen.index, 2);
  EXPECT_NEAR(chosen.probabilities[0], 0.3, 1e-6);
}

TEST(ChoiceTrieTest, ChoicesOfTheSameTokensShareTheirPath) {
  const ChoiceTrie trie({"x", "y", "z"}, {{1}, {1}, {3}}, kEnd);
  const ChosenAnswer chosen = trie.choose({{logit(0.6), logit(0.2)}}, {}, 5);
  EXPECT_EQ(chosen.index, 0);
  EXPECT_NEAR(chosen.probabilities[0], 0.375, 1e-6);
  EXPECT_EQ(chosen.probabilities[0], chosen.probabilities[1]);
  EXPECT_NEAR(total(chosen), 1, 1e-12);

  const ChoiceTrie alike({"x", "y"}, {{1}, {1}}, kEnd);  // nothing parts anywhere
  ASSERT_EQ(alike.branches().size(), 1u);
  EXPECT_EQ(alike.num_tokens, 0);
  const ChosenAnswer first = alike.choose({{logit(0.6)}}, {}, 5);
  EXPECT_EQ(first.index, 0);
  EXPECT_NEAR(first.probabilities[1], 0.5, 1e-12);
}

TEST(ChoiceTrieTest, PathsFollowEachOtherWithWhatTheyHaveInCommon) {
  const ChoiceTrie trie({"a", "b", "c", "d", "e"}, {{1, 2, 3}, {1, 2, 4}, {1, 5}, {6, 7, 8}, {6, 7, 9}}, kEnd);
  std::vector<std::vector<int>> paths;
  for (const auto& branch : trie.branches()) paths.push_back(branch.path);
  EXPECT_EQ(paths, (std::vector<std::vector<int>>{{}, {1}, {1, 2}, {6, 7}}));
  EXPECT_EQ(trie.num_tokens, 4);
}

TEST(ChoiceTrieTest, VeryUnlikelyChoicesStillSumToOne) {
  const ChoiceTrie trie({"a", "b", "c"}, {{1}, {3}, {4}}, kEnd);
  const ChosenAnswer chosen = trie.choose({{-900, -901, -1200}}, {}, 5);
  EXPECT_EQ(chosen.index, 0);
  EXPECT_NEAR(total(chosen), 1, 1e-12);
  EXPECT_NEAR(chosen.probabilities[0], 1 / (1 + std::exp(-1.0)), 1e-6);
}

TEST(ChoiceTrieTest, DrawsFollowTheTemperedProbabilitiesAndTheReportedOnesDoNot) {
  const ChoiceTrie trie({"a", "b", "c"}, {{1}, {3, 4}, {3, 5}}, kEnd);
  const std::vector<std::vector<float>> logprobs = {{logit(0.5), logit(0.5)}, {logit(0.8), logit(0.2)}};
  const double p[] = {0.5, 0.4, 0.1};
  constexpr int kDraws = 4000;
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double sum = 0;
    for (const double one : p) sum += std::pow(one, 1 / temperature);
    std::vector<int> counts(3);
    for (int i = 0; i < kDraws; ++i) {
      const SamplingParams sampling{.temperature = static_cast<float>(temperature), .seed = static_cast<uint64_t>(i)};
      const ChosenAnswer chosen = trie.choose(logprobs, sampling, 5);
      ++counts[chosen.index];
      EXPECT_NEAR(chosen.probabilities[1], 0.4, 1e-6);
      EXPECT_EQ(trie.choose(logprobs, sampling, 5).index, chosen.index);
    }
    for (int c = 0; c < 3; ++c) {
      const double expected = std::pow(p[c], 1 / temperature) / sum;
      EXPECT_NEAR(double(counts[c]) / kDraws, expected, 4 * std::sqrt(expected * (1 - expected) / kDraws));  // 4 sigma
    }
  }
  EXPECT_EQ(trie.choose(logprobs, {.temperature = 1e-30f, .seed = 3}, 5).index, 0);
}

}  // namespace
}  // namespace sf
