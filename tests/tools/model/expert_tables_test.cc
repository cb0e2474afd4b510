#include "tools/model/expert_tables.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

TokenRouting routed(const std::string& text, bool image, std::vector<int> experts) {
  return {text, image, {experts}, {std::vector<float>(experts.size(), 0.5f)}};
}

Explanation with(std::vector<TokenRouting> tokens) {
  Explanation e;
  e.routing = std::move(tokens);
  return e;
}

TEST(ExpertTablesTest, JensenShannonIsZeroForTheSameAndLnTwoForDisjoint) {
  EXPECT_NEAR(jensen_shannon({0.5, 0.5, 0}, {0.5, 0.5, 0}), 0, 1e-12);
  EXPECT_NEAR(jensen_shannon({1, 0}, {0, 1}), std::log(2.0), 1e-12);
  EXPECT_NEAR(jensen_shannon({1, 0}, {0.5, 0.5}), jensen_shannon({0.5, 0.5}, {1, 0}), 1e-12);
}

TEST(ExpertTablesTest, UsageIsByModality) {
  ExpertTables tables(1, 4);
  tables.add(with({routed("<image>", true, {0, 1}), routed("<image>", true, {0, 2}), routed("a", false, {3, 0})}),
             "shape");
  EXPECT_EQ(tables.usage(true)[0], (std::vector<double>{0.5, 0.25, 0.25, 0}));
  EXPECT_EQ(tables.usage(false)[0], (std::vector<double>{0.5, 0, 0, 0.5}));
  EXPECT_NEAR(tables.modality_divergence()[0], jensen_shannon({0.5, 0.25, 0.25, 0}, {0.5, 0, 0, 0.5}), 1e-12);
}

TEST(ExpertTablesTest, CoactivationCountsAllPairsOfATokensExperts) {
  ExpertTables tables(1, 4);
  tables.add(with({routed("a", false, {0, 1, 2}), routed("b", false, {0, 2, 3})}), "shape");
  const auto shares = tables.coactivation(0);
  EXPECT_EQ(shares[0], (std::vector<double>{1, 0.5, 1, 0.5}));
  EXPECT_EQ(shares[1], (std::vector<double>{1, 1, 1, 0}));  // slots 0 and 2 are no neighbours, and count
  EXPECT_EQ(shares[3][1], 0);
}

TEST(ExpertTablesTest, DomainsAreOfTextTokensAndRowsSumToTopK) {
  ExpertTables tables(1, 3);
  tables.add(with({routed("<image>", true, {2, 1}), routed("a", false, {0, 1}), routed("b", false, {0, 2})}), "shape");
  tables.add(with({routed("a", false, {1, 2})}), "count");
  const auto domains = tables.domain_specialisation();
  EXPECT_EQ(domains.at("shape")[0], (std::vector<double>{1, 0.5, 0.5}));
  EXPECT_EQ(domains.at("count")[0], (std::vector<double>{0, 1, 1}));
}

TEST(ExpertTablesTest, WordsSeenTooRarelyAreLeftOut) {
  ExpertTables tables(1, 3);
  for (int i = 0; i < 4; ++i) tables.add(with({routed("often", false, {i % 2, 2})}), "shape");
  tables.add(with({routed("once", false, {0, 1}), routed("<image>", true, {0, 1})}), "shape");
  const auto words = tables.vocabulary_specialisation(0, 4);
  ASSERT_EQ(words.size(), 1u);
  EXPECT_EQ(words.at("often"), (std::vector<double>{0.5, 0.5, 1}));
  EXPECT_EQ(tables.vocabulary_specialisation(0, 1).size(), 2u);  // and images are no words
}

TEST(ExpertTablesTest, NothingCountedIsAllZero) {
  const ExpertTables tables(2, 2);
  EXPECT_EQ(tables.usage(true)[1], (std::vector<double>{0, 0}));
  EXPECT_EQ(tables.coactivation(0)[0], (std::vector<double>{0, 0}));
  tables.print();
}

}  // namespace
}  // namespace sf
