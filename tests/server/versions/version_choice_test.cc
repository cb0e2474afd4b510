#include "server/versions/version_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sf::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(VersionChoiceTest, TheNewestAboveTheServedOneFirst) {
  EXPECT_THAT(versions_to_try({.versions = {1, 10, 2}, .served = 1}), ElementsAre(10, 2));
  EXPECT_THAT(versions_to_try({.versions = {1, 10, 2}, .served = 10}), IsEmpty());
  EXPECT_THAT(versions_to_try({.versions = {1, 10, 2}}), ElementsAre(10, 2, 1));
  EXPECT_THAT(versions_to_try({.versions = {1, 10, 11}, .served = 1, .passed_over = 10}), ElementsAre(11));
  EXPECT_THAT(versions_to_try({.versions = {1, 2}, .served = 0, .passed_over = 10}), ElementsAre(2, 1));
}

TEST(VersionChoiceTest, APinLeavesNoChoice) {
  EXPECT_THAT(versions_to_try({.versions = {1, 2, 3}, .served = 3, .pinned = 2}), ElementsAre(2));
  EXPECT_THAT(versions_to_try({.versions = {1, 2, 3}, .served = 2, .pinned = 2}), IsEmpty());
  EXPECT_THAT(versions_to_try({.versions = {1, 2, 3}, .pinned = 2}), ElementsAre(2, 1));
  EXPECT_THAT(versions_to_try({.versions = {1, 3}, .served = 3, .pinned = 2}), IsEmpty());
}

TEST(VersionChoiceTest, ARollbackGoesToTheLastThatServedAndIsStillThere) {
  EXPECT_EQ(version_to_go_back_to({.served = 3, .served_before = {1, 2}, .versions = {1, 2, 3}}), 2);
  EXPECT_EQ(version_to_go_back_to({.served = 3, .served_before = {1, 2}, .versions = {1, 3}}), 1);
  EXPECT_EQ(version_to_go_back_to({.served = 2, .served_before = {3, 2}, .versions = {2, 3}}), 3) << "not to itself";
}

TEST(VersionChoiceTest, ARollbackWithoutHistoryGoesToTheHighestGoodOneBelow) {
  EXPECT_EQ(version_to_go_back_to({.served = 4, .versions = {1, 2, 3, 4, 5}, .usable = {1, 2, 4, 5}}), 2);
  EXPECT_EQ(version_to_go_back_to({.served = 1, .versions = {1, 2}, .usable = {1, 2}}), std::nullopt);
  EXPECT_EQ(version_to_go_back_to({.served = 0, .versions = {1}, .usable = {1}}), std::nullopt);
  EXPECT_EQ(version_to_go_back_to({.served = 2, .served_before = {1}, .usable = {}}), std::nullopt);
}

}  // namespace
}  // namespace sf::server
