#include "server/metrics/expert_window.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf::server {
namespace {

const std::vector<int64_t> kEven = {1, 1};

TEST(ExpertWindowTest, SaysNothingBeforeItsFewestTokens) {
  ExpertWindow window(2, kEven);
  window.add(std::vector<double>{1023, 0}, 0, 1023);
  EXPECT_FALSE(window.gauges().has_value());
  window.add(std::vector<double>{0, 1}, 0, 1);
  EXPECT_TRUE(window.gauges().has_value());
}

TEST(ExpertWindowTest, EvenLoadIsBalancedAndDoesNotDrift) {
  ExpertWindow window(2, kEven);
  window.add(std::vector<double>{1000, 1000}, 2000 * std::log(2), 2000);
  const auto gauges = window.gauges();
  EXPECT_NEAR(gauges->imbalance, 1, 1e-12);
  EXPECT_NEAR(gauges->entropy_nats, std::log(2), 1e-12);
  EXPECT_EQ(gauges->dead_experts, 0);
  EXPECT_NEAR(*gauges->drift_js, 0, 1e-12);
}

TEST(ExpertWindowTest, OneExpertTakesAll) {
  ExpertWindow window(4, std::vector<int64_t>{0, 0, 0, 5});
  window.add(std::vector<double>{2000, 0, 0, 0}, 0, 2000);
  const auto gauges = window.gauges();
  EXPECT_NEAR(gauges->imbalance, 4, 1e-12);
  EXPECT_EQ(gauges->dead_experts, 3);
  EXPECT_NEAR(*gauges->drift_js, std::log(2), 1e-12) << "disjoint distributions are as far apart as can be";
}

TEST(ExpertWindowTest, TheOldFadesAway) {
  ExpertWindow window(2, kEven);
  window.add(std::vector<double>{8192, 0}, 0, 8192);
  for (int i = 0; i < 100; ++i) window.add(std::vector<double>{0, 8192}, 0, 8192);
  EXPECT_EQ(window.gauges()->dead_experts, 1) << "expert 0 died";
  EXPECT_NEAR(window.gauges()->imbalance, 2, 1e-6);
}

TEST(ExpertWindowTest, WithoutAReferenceThereIsNoDrift) {
  for (const std::vector<int64_t>& reference :
       {std::vector<int64_t>{}, std::vector<int64_t>{0, 0}, std::vector<int64_t>{1}}) {
    ExpertWindow window(2, reference);
    window.add(std::vector<double>{2000, 10}, 0, 2010);
    EXPECT_FALSE(window.gauges()->drift_js.has_value());
  }
}

TEST(ExpertWindowTest, StepsWithoutTokensChangeNothing) {
  ExpertWindow window(2, kEven);
  window.add(std::vector<double>{0, 0}, 0, 0);
  EXPECT_FALSE(window.gauges().has_value());
}

TEST(JensenShannonTest, IsSymmetricAndMatchesAHandComputedValue) {
  const std::vector<double> p = {0.5, 0.5}, q = {0.9, 0.1};
  // H(m) - (H(p) + H(q)) / 2 with m = (0.7, 0.3).
  const double expected = 0.6108643020548935 - (0.6931471805599453 + 0.3250829733914482) / 2;
  EXPECT_NEAR(jensen_shannon(p, q), expected, 1e-12);
  EXPECT_NEAR(jensen_shannon(q, p), expected, 1e-12);
}

}  // namespace
}  // namespace sf::server
