#include "server/scheduler/stop_matcher.h"

#include <gtest/gtest.h>

namespace sf::server {
namespace {

// Everything that is sent when `text` arrives in pieces of `size` bytes.
std::string sent(StopMatcher matcher, const std::string& text, size_t size) {
  std::string out;
  for (size_t i = 0; i < text.size(); i += size) out += matcher.push(text.substr(i, size));
  return out + matcher.finish();
}

TEST(StopMatcherTest, PassesEverythingWithoutStops) { EXPECT_EQ(sent(StopMatcher(), "red\n", 1), "red\n"); }

TEST(StopMatcherTest, IgnoresEmptyStops) { EXPECT_EQ(sent(StopMatcher({"", ""}), "red", 2), "red"); }

TEST(StopMatcherTest, HoldsBackWhatMightBeginAStop) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("The E"), "The ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("d"), "ENd");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcherTest, SendsWhatWasHeldWhenTheTextEnds) { EXPECT_EQ(sent(StopMatcher({"END"}), "The EN", 1), "The EN"); }

TEST(StopMatcherTest, SendsNothingOfTheStopNorAfterIt) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("ab EN"), "ab ");
  EXPECT_EQ(matcher.push("D more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("again"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcherTest, StopsAtTheVeryBeginning) { EXPECT_EQ(sent(StopMatcher({"ab"}), "abc", 1), ""); }

TEST(StopMatcherTest, RestartsAfterAFalseBeginning) { EXPECT_EQ(sent(StopMatcher({"aab"}), "aaab!", 1), "a"); }

TEST(StopMatcherTest, DependsOnTheTextNotOnItsPieces) {
  const std::vector<std::vector<std::string>> stop_sets = {{"bc", "abcd"}, {"abcd", "bc"}, {"c", "bc", "abc"},
                                                           {"aab", "ab"},  {"\xC3\xA9"},   {"xyz"}};
  const std::string text = "aaabcd e\xC3\xA9 xyxyz";
  for (const auto& stops : stop_sets) {
    const std::string expected = sent(StopMatcher(stops), text, 1);
    for (size_t size = 2; size <= text.size(); ++size)
      EXPECT_EQ(sent(StopMatcher(stops), text, size), expected) << size;
  }
}

}  // namespace
}  // namespace sf::server
