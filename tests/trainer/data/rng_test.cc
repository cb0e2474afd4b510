#include "trainer/data/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace sf::data {
namespace {

TEST(RngTest, TheStreamIsFixedForEver) {
  Rng rng(7, 3);
  const std::array<uint64_t, 3> first = {rng.next(), rng.next(), rng.next()};
  Rng again(7, 3);
  for (const uint64_t value : first) EXPECT_EQ(again.next(), value);
  EXPECT_NE(Rng(7, 4).next(), first[0]);
  EXPECT_NE(Rng(8, 3).next(), first[0]);
}

TEST(RngTest, SeedZeroIsAnOrdinarySeed) {
  Rng rng(0, 0);
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits |= rng.next();
  EXPECT_GT(__builtin_popcountll(bits), 50);
}

TEST(RngTest, IntegersAreUniformAndKeepTheirBounds) {
  Rng rng(1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts.at(rng.range(1, 6) - 1);
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);  // four standard deviations
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0);
}

TEST(RngTest, FloatsStayBelowOne) {
  Rng rng(2);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const float u = rng.uniform();
    ASSERT_GE(u, 0.f);
    ASSERT_LT(u, 1.f);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(RngTest, NormalHasMeanZeroAndVarianceOne) {
  Rng rng(3);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 100000, 0, 0.02);
  EXPECT_NEAR(squares / 100000, 1, 0.02);
}

TEST(RngTest, ShuffleKeepsEveryItem) {
  Rng rng(4);
  std::vector<int> items = {0, 1, 2, 3, 4, 5};
  rng.shuffle(items);
  std::array<bool, 6> seen{};
  for (const int item : items) seen.at(item) = true;
  for (const bool s : seen) EXPECT_TRUE(s);
}

}  // namespace
}  // namespace sf::data
