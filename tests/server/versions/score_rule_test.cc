#include "server/versions/score_rule.h"

#include <gtest/gtest.h>

namespace sf::server {
namespace {

TEST(ScoreRuleTest, ALowerScoreOfTheSameEvaluationIsRefused) {
  EXPECT_TRUE(refused_by_score({0.9, "a"}, {0.95, "a"}, 0.02));
  EXPECT_FALSE(refused_by_score({0.94, "a"}, {0.95, "a"}, 0.02));
  EXPECT_FALSE(refused_by_score({0.99, "a"}, {0.95, "a"}, 0.02));
}

TEST(ScoreRuleTest, ScoresOfDifferentEvaluationsAreNeverCompared) {
  EXPECT_FALSE(refused_by_score({0.1, "a"}, {0.95, "b"}, 0.02));
  EXPECT_FALSE(refused_by_score({0.1, "a"}, {0.95, ""}, 0.02)) << "an older manifest serves";
  EXPECT_FALSE(refused_by_score({0.1, ""}, {0.95, "b"}, 0.02)) << "an older manifest is new";
}

TEST(ScoreRuleTest, ManifestsThatNameNoEvaluationAreComparedWithEachOther) {
  EXPECT_TRUE(refused_by_score({0.1, ""}, {0.95, ""}, 0.02));
}

TEST(ScoreRuleTest, WithoutAScoreNothingIsRefused) {
  EXPECT_FALSE(refused_by_score({{}, "a"}, {0.95, "a"}, 0.02));
  EXPECT_FALSE(refused_by_score({0.1, "a"}, {{}, "a"}, 0.02));
}

}  // namespace
}  // namespace sf::server
