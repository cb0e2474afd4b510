#include "engine/base/suggestions.h"

#include <gtest/gtest.h>

namespace sf {
namespace {

TEST(SuggestionsTest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "", 3), 0);
  EXPECT_EQ(edit_distance("port", "port", 3), 0);
  EXPECT_EQ(edit_distance("prot", "port", 3), 1) << "neighbours that changed places";
  EXPECT_EQ(edit_distance("por", "port", 3), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting", 3), 3);
  EXPECT_EQ(edit_distance("abcdef", "uvwxyz", 3), 4) << "more is not counted";
  EXPECT_EQ(edit_distance("a", "abcdefgh", 3), 4);
  EXPECT_EQ(edit_distance("", "ab", 3), 2);
}

TEST(SuggestionsTest, NamesTheNearestOrNone) {
  const std::vector<std::string> flags = {"--grpc-port", "--http-port", "--host", "--model", "--help"};
  EXPECT_EQ(nearest_word("--http-prot", flags), "--http-port");
  EXPECT_EQ(nearest_word("--htp-pprt", flags), "--http-port");
  EXPECT_EQ(nearest_word("--hots", flags), "--host");
  EXPECT_EQ(nearest_word("--modle", flags), "--model");
  EXPECT_EQ(nearest_word("--frobnicate", flags), "");
  EXPECT_EQ(nearest_word("--x", flags), "");
  EXPECT_EQ(nearest_word("", flags), "");
  EXPECT_EQ(nearest_word("--", flags), "");
  EXPECT_EQ(nearest_word("--host", {"--host"}), "") << "what is known is not mistyped";
  EXPECT_EQ(nearest_word(std::string(1 << 20, 'x'), flags), "");
  EXPECT_EQ(nearest_word("conver", {"inspect", "convert", "cover"}), "convert") << "the first of equals";
}

}  // namespace
}  // namespace sf
