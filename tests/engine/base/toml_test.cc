#include "engine/base/toml.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using Values = std::vector<std::string>;

std::vector<TomlEntry> parse(const std::string& text) { return parse_toml(text, "f.toml"); }

std::string reason_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string repeat(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(TomlTest, ReadsEveryKindOfValue) {
  const auto entries = parse(
      "a = 1\r\nb=-2.5e3 # rest\n \"c d\" = \"x\\\"\\n\\\\y\"\ne = 'raw\\n'\nf = [1, 'two', true,]\ng = []\n[t.\"u "
      "v\"]\nh = false");
  ASSERT_EQ(entries.size(), 7u);
  EXPECT_EQ(entries[0].values, Values{"1"});
  EXPECT_EQ(entries[1].values, Values{"-2500.0"});
  EXPECT_EQ(entries[2].key, "c d");
  EXPECT_EQ(entries[2].values, Values{"x\"\n\\y"});
  EXPECT_EQ(entries[3].values, Values{"raw\\n"});
  EXPECT_EQ(entries[4].values, (Values{"1", "two", "true"}));
  EXPECT_TRUE(entries[5].values.empty());
  EXPECT_EQ(entries[6].table, (Values{"t", "u v"}));
  EXPECT_EQ(entries[6].line, 8);
}

TEST(TomlTest, ReadsWhatStandsOnSeveralLinesAndDottedKeysAndInlineTables) {
  const auto entries = parse(
      "\xef\xbb\xbfz = [ # first\n  'a', # of two\n\n  \"\u00e9\",\n]\nask.x.y = 0x1F\nask.\"q.r\" = {s = 1, t = "
      "[2]}\nw = \'\'\'\nl1\n'l2\'\'\'\'\nv = \"\"\"a\\\n   \u00e9\"\"\"\n");
  ASSERT_EQ(entries.size(), 6u);
  EXPECT_EQ(entries[0].values, (Values{"a", "\u00e9"}));
  EXPECT_EQ(entries[0].line, 1);
  EXPECT_EQ(entries[1].table, (Values{"ask", "x"}));
  EXPECT_EQ(entries[1].key, "y");
  EXPECT_EQ(entries[1].values, Values{"31"});
  EXPECT_EQ(entries[2].table, (Values{"ask", "q.r"}));
  EXPECT_EQ(entries[2].key, "s");
  EXPECT_EQ(entries[2].line, 7);
  EXPECT_EQ(entries[3].values, Values{"2"});
  EXPECT_EQ(entries[4].values, Values{"l1\n'l2'"});
  EXPECT_EQ(entries[5].key, "v");
  EXPECT_EQ(entries[5].values, Values{"a\u00e9"});
}

TEST(TomlTest, NumbersKeepTheirValueAndWhatKindTheyAre) {
  const auto entries = parse("a = [1e-5, 0.1, 3.0, 1e300, 0o17, 0b11, 8_080, -0.0, inf, 9223372036854775807]");
  EXPECT_EQ(entries[0].values,
            (Values{"1e-05", "0.1", "3.0", "1e+300", "15", "3", "8080", "-0.0", "inf", "9223372036854775807"}));
}

TEST(TomlTest, EmptyTextAndComments) { EXPECT_TRUE(parse("\n# only\n   # remarks: \u00e9.\n\n").empty()); }

TEST(TomlTest, RefusesWithTheNameAndTheLine) {
  for (const char* line : {"a",
                           "a =",
                           "= 1",
                           "a = b",
                           "a = 1 2",
                           "a = \"x",
                           "a = \"\\q\"",
                           "a = [1 2]",
                           "[a",
                           "[a] b",
                           "[]",
                           "[=]",
                           "a = 1; # no",
                           "[[[a",
                           "[[a]]\nb = 1",
                           "a = --",
                           "a = 1979-05-27",
                           "a = [[1]]",
                           "a = [{b = 1}]",
                           "\u00e4 = 1",
                           "a = 0'\uffff'",
                           "a = \"\\\u00e9\"",
                           "a = 007",
                           "a = 9223372036854775808"}) {
    EXPECT_EQ(reason_of(std::string("ok = 1\n") + line).substr(0, 16), "f.toml: line 2: ") << line;
  }
  EXPECT_NE(reason_of("a = '\xff'"), "");
}

TEST(TomlTest, NamesTheKeyThatIsWrong) {
  for (const char* text : {"key-1 = 1\nkey-1 = 2", "a = 1\nkey-1 = x", "a = 1\n key-1 = [1 2]", "a = 1\nkey-1 = [[1]]",
                           "a = 1\nkey-1 = 07:30:00"}) {
    const std::string reason = reason_of(text);
    EXPECT_EQ(reason.substr(0, 29), "f.toml: line 2: key 'key-1': ") << reason;
  }
  EXPECT_EQ(reason_of("a = 1\n[t]\na = 2"), "");
}

// Neither the parser's stack nor that of a destructor may depend on the text.
TEST(TomlTest, BoundsSizeAndDepth) {
  EXPECT_EQ(reason_of("[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p]\nq.r.s = 1"), "");
  const std::string names = "f.toml: line 1: a key of more than 16 names";
  for (const char* key : {"a", "\"a\"", "'a.b'", " a "}) {
    EXPECT_EQ(reason_of("[" + repeat(std::string(key) + ".", 20'000) + "a]"), names);
    EXPECT_EQ(reason_of(repeat(std::string(key) + ".", 20'000) + "a = 1"), names);
    EXPECT_EQ(reason_of("x = {" + repeat(std::string(key) + ".", 20'000) + "a = 1}"), names);
  }
  EXPECT_EQ(reason_of("a = '" + repeat(".", 1000) + "' # " + repeat(".", 1000)), "");
  for (const char* opening : {"[", "[[", "a = [", "{a = ", "a = {a = [", "[ "}) {
    const size_t count = kMaxTomlBytes / std::string(opening).size();
    EXPECT_NE(reason_of(repeat(opening, count)), "") << opening;
    EXPECT_NE(reason_of("a = " + repeat(opening, count - 4)), "") << opening;
  }
  EXPECT_EQ(reason_of(repeat("\n", kMaxTomlBytes)), "");
  EXPECT_EQ(reason_of(repeat("[", 1 << 20)), "f.toml: line 1: a file of more than 262144 bytes");
}

TEST(TomlTest, RandomTextNeverCrashes) {
  std::mt19937 random(3);
  const std::string alphabet = "ab=\"'[]{}#.,\\\n 1-_t\xc3\xa9";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t i = random() % 24; i > 0; --i) text += alphabet[random() % alphabet.size()];
    reason_of(text);
  }
}

}  // namespace
}  // namespace sf
