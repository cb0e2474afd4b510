#include "engine/base/expert_load.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf {
namespace {

TEST(ExpertLoadTest, NothingAssignedIsAllDead) {
  const ExpertLoad load = expert_load({0, 0, 0});
  EXPECT_EQ(load.assignments, 0);
  EXPECT_EQ(load.dead_experts, 3);
  EXPECT_EQ(load.max_violation, 0);
  EXPECT_EQ(load.entropy_ratio, 0);
  EXPECT_EQ(expert_load({}).assignments, 0);
}

TEST(ExpertLoadTest, AnEvenLoadHasNoViolationAndFullEntropy) {
  const ExpertLoad load = expert_load({7, 7, 7, 7});
  EXPECT_DOUBLE_EQ(load.max_violation, 0);
  EXPECT_DOUBLE_EQ(load.cv_squared, 0);
  EXPECT_DOUBLE_EQ(load.entropy_ratio, 1);
  EXPECT_EQ(load.dead_experts, 0);
  EXPECT_DOUBLE_EQ(expert_load({5}).entropy_ratio, 1);  // one expert cannot be uneven
}

TEST(ExpertLoadTest, ACollapseOntoKExperts) {
  const ExpertLoad load = expert_load({20, 20, 0, 0, 0, 0, 0, 0});  // top-2 of 8
  EXPECT_DOUBLE_EQ(load.max_violation, 3);                          // experts / k - 1
  EXPECT_DOUBLE_EQ(load.cv_squared, 3);                             // (2 * 15^2 + 6 * 5^2) / 8 / 5^2
  EXPECT_DOUBLE_EQ(load.entropy_ratio, std::log(2.0) / std::log(8.0));
  EXPECT_EQ(load.dead_experts, 6);
}

TEST(ExpertLoadTest, UnevenCounts) {
  const ExpertLoad load = expert_load({1, 3});
  EXPECT_EQ(load.assignments, 4);
  EXPECT_DOUBLE_EQ(load.max_violation, 0.5);
  EXPECT_DOUBLE_EQ(load.cv_squared, 0.25);
  EXPECT_NEAR(load.entropy_ratio, 0.8112781, 1e-6);  // the entropy of a quarter in bits
}

}  // namespace
}  // namespace sf
