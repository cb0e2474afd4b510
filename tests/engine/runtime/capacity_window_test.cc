#include "engine/runtime/capacity_window.h"

#include <gtest/gtest.h>

namespace sf {
namespace {

TEST(CapacityWindowTest, CountsEachLayerAndExpertForItself) {
  CapacityWindow window(2, 3);
  window.begin_token(0, 0);
  EXPECT_FALSE(window.add(0, 1, 2));
  EXPECT_FALSE(window.add(0, 1, 2));
  EXPECT_TRUE(window.add(0, 1, 2)) << "the third of two places";
  EXPECT_FALSE(window.add(0, 2, 2));
  EXPECT_FALSE(window.add(1, 1, 2));
  EXPECT_EQ(window.counts(), (std::vector<uint16_t>{0, 3, 1, 0, 1, 0}));
}

TEST(CapacityWindowTest, AWindowStartsFromZeroInTheLayerThatEntersIt) {
  CapacityWindow window(2, 1);
  for (int layer : {0, 1}) window.add(layer, 0, 1);
  window.begin_token(0, kCapacityWindow - 1);
  EXPECT_TRUE(window.add(0, 0, 1));
  window.begin_token(0, kCapacityWindow);
  EXPECT_EQ(window.counts(), (std::vector<uint16_t>{0, 1}));
  EXPECT_FALSE(window.add(0, 0, 1));
}

TEST(CapacityWindowTest, WithoutALimitNothingIsAbove) {
  CapacityWindow window(1, 1);
  for (int i = 0; i < kCapacityWindow; ++i) EXPECT_FALSE(window.add(0, 0, 0));
  MoeConfig config;
  EXPECT_EQ(capacity_of_window(config, 0), 0);
  EXPECT_GT(capacity_of_window(config, 1.0), 0);
}

}  // namespace
}  // namespace sf
