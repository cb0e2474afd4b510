#include "engine/base/toml.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using Values = std::vector<std::string>;

std::string reason_of(const std::string& text) {
  try {
    parse_toml(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TomlTest, ReadsEveryKindOfValue) {
  const auto entries = parse_toml(
      "a = 1\r\nb=-2.5e3 # rest\n \"c d\" = \"x\\\"\\n\\\\y\"\ne = 'raw\\n'\nf = [1, 'two', true,]\ng = []\n[t.\"u "
      "v\"]\nh = false");
  ASSERT_EQ(entries.size(), 7u);
  EXPECT_EQ(entries[0].values, Values{"1"});
  EXPECT_EQ(entries[1].values, Values{"-2.5e3"});
  EXPECT_EQ(entries[2].key, "c d");
  EXPECT_EQ(entries[2].values, Values{"x\"\n\\y"});
  EXPECT_EQ(entries[3].values, Values{"raw\\n"});
  EXPECT_EQ(entries[4].values, (Values{"1", "two", "true"}));
  EXPECT_TRUE(entries[5].values.empty());
  EXPECT_EQ(entries[6].table, (Values{"t", "u v"}));
  EXPECT_EQ(entries[6].line, 8);
}

TEST(TomlTest, EmptyTextAndComments) { EXPECT_TRUE(parse_toml("\n# only\n   # remarks\n\n").empty()); }

TEST(TomlTest, RefusesWithTheLine) {
  for (const char* line :
       {"a", "a =", "= 1", "a = b", "a = 1 2", "a = \"x", "a = \"\\q\"", "a = [1", "a = [1 2]", "[a", "[a] b", "[]",
        "a.b = 1", "a = {b = 1}", "a = 1; # no", "[[a]]", "a = --", "a = \"\"\"x\"\"\""}) {
    EXPECT_EQ(reason_of(std::string("ok = 1\n") + line + "\n").substr(0, 8), "line 2: ") << line;
  }
  EXPECT_EQ(reason_of("a = 1\na = 2"), "line 2: key is given twice, 'a'");
  EXPECT_EQ(reason_of("a = 1\n[t]\na = 2"), "");
  EXPECT_NE(reason_of("a = '\xff'"), "");
  EXPECT_EQ(reason_of("[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p]"), "");
  EXPECT_EQ(reason_of("[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q]"), "line 1: a table of more than 16 names");
}

TEST(TomlTest, RandomTextNeverCrashes) {
  std::mt19937 random(3);
  const std::string alphabet = "ab=\"'[]#.,\\\n 1-_t";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t i = random() % 24; i > 0; --i) text += alphabet[random() % alphabet.size()];
    reason_of(text);
  }
}

}  // namespace
}  // namespace sf
