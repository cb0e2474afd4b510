#include "engine/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sf {
namespace {

TEST(Utf8Test, AcceptsTheEdgesOfEveryLength) {
  for (const char* text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string(1, '\0')));
}

TEST(Utf8Test, RefusesOverlongSurrogatesTooLargeAndCutOff) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xf0\x9f\x98"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
  }
}

TEST(Utf8Test, TakesWholeCharactersAndLeavesTheRest) {
  std::string pending = "a\xe2\x82";
  EXPECT_EQ(take_whole_utf8(pending), "a");
  EXPECT_EQ(pending, "\xe2\x82");
  pending += "\xac!";
  EXPECT_EQ(take_whole_utf8(pending), "\xe2\x82\xac!");
  EXPECT_EQ(pending, "");
}

TEST(Utf8Test, EveryInvalidSequenceBecomesOneReplacement) {
  std::string pending = "\xff\xe2\x82z\xed\xa0";
  EXPECT_EQ(take_whole_utf8(pending), "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(pending, "");
}

TEST(Utf8Test, ByteByByteEqualsAllAtOnce) {
  const std::string text = "x\xc3\xa9\xf0\x9f\x98\x80\xff\xe2\x82\xacy\xc2";
  std::string whole = text;
  const std::string expected = take_whole_utf8(whole);
  std::string pending, streamed;
  for (const char c : text) {
    pending += c;
    streamed += take_whole_utf8(pending);
  }
  EXPECT_EQ(streamed, expected);
  EXPECT_EQ(pending, whole);
}

}  // namespace
}  // namespace sf
