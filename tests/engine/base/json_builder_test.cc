#include "engine/base/json_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::json;

Json build(const std::string& text, size_t piece_size = std::string::npos, JsonLimits limits = {}) {
  JsonBuilder builder("body", limits);
  for (size_t at = 0; at < text.size();) {
    const size_t size = std::min(piece_size, text.size() - at);
    builder.feed(std::string_view(text).substr(at, size));
    at += size;
  }
  return builder.finish();
}

// What is thrown for `text`, which must be the same however it is cut.
std::string error_of(const std::string& text, JsonLimits limits = {}) {
  std::vector<std::string> errors;
  for (const size_t piece_size : {size_t{1}, size_t{3}, std::string::npos}) {
    try {
      build(text, piece_size, limits);
      errors.emplace_back("accepted");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      errors.emplace_back(error.what());
    }
  }
  EXPECT_EQ(errors[0], errors[1]) << text;
  EXPECT_EQ(errors[0], errors[2]) << text;
  return errors[0];
}

TEST(JsonBuilderTest, ReadsEveryKindOfValue) {
  for (const char* text : {"0",
                           "-0",
                           "17",
                           "-1",
                           "18446744073709551615",
                           "18446744073709551616",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "1.5",
                           "-1e-3",
                           "1E+2",
                           "1e-400",
                           "5e-324",
                           "0.1",
                           "true",
                           "false",
                           "null",
                           "\"\"",
                           "[]",
                           "{}",
                           " [ 1 , [ ] , { } ] ",
                           R"({"a":{"b":[1,{"c":null}]},"d":""})",
                           R"("\" \\ \/ \b\f\n\r\t \u00e9 \u20AC \ud83d\ude00 \u0000")",
                           "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"",
                           "\xef\xbb\xbf{}"}) {
    const Json expected = Json::parse(text);
    for (const size_t piece_size : {size_t{1}, size_t{2}, size_t{5}, std::string::npos}) {
      const Json value = build(text, piece_size);
      EXPECT_EQ(value, expected) << text;
      EXPECT_EQ(value.dump(), expected.dump()) << text;
      EXPECT_EQ(value.type(), expected.type()) << text;
    }
  }
}

TEST(JsonBuilderTest, SaysWhereTheTextIsNotJson) {
  const std::pair<const char*, const char*> cases[] = {{"", "byte 1: the text ends early"},
                                                       {"[1", "byte 3: the text ends early"},
                                                       {"[1,]", "byte 4: expected a value"},
                                                       {"{\"a\" 1}", "byte 6: expected ':'"},
                                                       {"{,}", "byte 2: expected a key"},
                                                       {"{\"a\":1,}", "byte 8: expected a key"},
                                                       {"[1}", "byte 3: expected ',' or ']'"},
                                                       {"{\"a\":1]", "byte 7: expected ',' or '}'"},
                                                       {"{} {}", "byte 4: something behind the value"},
                                                       {"trux", "byte 4: expected a value"},
                                                       {"nul", "byte 4: the text ends early"},
                                                       {"NaN", "byte 1: expected a value"},
                                                       {"01", "byte 3: malformed number"},
                                                       {"[1.]", "byte 4: malformed number"},
                                                       {"-", "byte 2: malformed number"},
                                                       {"[+1]", "byte 2: expected a value"},
                                                       {"\"a\nb\"", "byte 3: a control character in a string"},
                                                       {"\"\\x\"", "byte 3: no such escape"},
                                                       {"\"\\u12g4\"", "byte 6: expected a hexadecimal digit"},
                                                       {"\"\\ud800\"", "byte 8: half a surrogate pair"},
                                                       {"\"\\ude00\"", "byte 7: half a surrogate pair"},
                                                       {"\"\\ud800\\u0041\"", "byte 13: half a surrogate pair"},
                                                       {"[\"\xc3(\"]", "byte 3: not UTF-8"},
                                                       {"\"\xe2\x82\"", "byte 2: not UTF-8"},
                                                       {"\"\xe2\x82\\u00ac\"", "byte 2: not UTF-8"},
                                                       {"\"\xed\xa0\x80\"", "byte 2: not UTF-8"},
                                                       {"\xef\xbb{}", "byte 3: half a byte order mark"},
                                                       {"// x\n1", "byte 1: expected a value"}};
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(error_of(text), std::string("body: not JSON at ") + expected) << text;
  }
  EXPECT_EQ(error_of(std::string("{}\0", 3)), "body: not JSON at byte 3: something behind the value");
}

TEST(JsonBuilderTest, DuplicateKeysAreRefusedWherever) {
  EXPECT_EQ(error_of(R"({"a":1,"b":{},"a":2})"), "body: duplicate key 'a'");
  EXPECT_EQ(error_of(R"([{"x":{"y":1,"\u0079":1}}])"), "body: duplicate key 'y'");
  EXPECT_EQ(error_of(R"([{"a":1},{"a":{"a":2}}])"), "accepted");
}

TEST(JsonBuilderTest, LimitsAreInclusiveAndNamed) {
  EXPECT_EQ(error_of("[[[]]]", {.max_depth = 3}), "accepted");
  EXPECT_EQ(error_of("[[[[]]]]", {.max_depth = 3}), "body: JSON is nested deeper than 3 levels");
  EXPECT_EQ(error_of("[1,{\"a\":2}]", {.max_values = 4}), "accepted");
  EXPECT_EQ(error_of("[1,{\"a\":2},3]", {.max_values = 4}), "body: JSON has more than 4 values");
  EXPECT_EQ(error_of("1e999"), "body: a number is out of range");
  EXPECT_EQ(error_of("[" + std::string(1024, '1') + "]"), "body: a number is out of range");
  EXPECT_EQ(error_of("[0." + std::string(1022, '1') + "]"), "accepted");
  EXPECT_EQ(error_of("[" + std::string(1025, '1') + "]"),
            "body: not JSON at byte 1026: a number of more than 1024 characters");
}

TEST(JsonBuilderTest, ALimitNamesTheOutermostMember) {
  try {
    build(R"({"ok":1,"big":[{"in":1},2,3,4]})", 4, {.max_values = 5});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "big");
  }
}

TEST(JsonBuilderTest, ShowsWhatIsCompleteBeforeTheEnd) {
  JsonBuilder builder("body");
  builder.feed(R"({"timeout_ms":250,"image":"AAAA)");
  EXPECT_EQ(builder.so_far()["timeout_ms"], 250);
  EXPECT_TRUE(builder.so_far()["image"].is_null());
}

TEST(JsonBuilderTest, LongStringsAreCutAnywhere) {
  std::string text = "\"";
  for (int i = 0; i < 50000; ++i) text += i % 7 == 0 ? "\\u20ac" : i % 3 == 0 ? "\xe2\x82\xac" : "x";
  text += "\"";
  const Json expected = Json::parse(text);
  for (const size_t piece_size : {size_t{1}, size_t{1000}, size_t{65537}}) EXPECT_EQ(build(text, piece_size), expected);
}

// Random texts of JSON's own characters: where the library accepts one, so do we, with the same value, and where it
// does not, we do not. Duplicate keys are left out: the library takes the last.
TEST(JsonBuilderTest, AgreesWithTheLibraryOnRandomTexts) {
  const std::vector<std::string> words = {
      "{", "}", "[", "]", ",",    ":",    "\"", "\"a\"", "\"b\"",          "1",    "-",
      ".", "e", "0", " ", "true", "null", "\\", "u00e9", "\\ud83d\\ude00", "\xc3", "\xa9"};
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    for (size_t length = 1 + random() % 9; length > 0; --length) text += words[random() % words.size()];
    std::optional<Json> value;
    bool duplicate = false;
    try {
      value = build(text, 1 + random() % 4);
    } catch (const Error& error) {
      duplicate = std::string(error.what()).find("duplicate") != std::string::npos;
    }
    if (duplicate) continue;
    const Json expected = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    ASSERT_EQ(value.has_value(), !expected.is_discarded()) << text;
    if (value) {
      EXPECT_EQ(*value, expected) << text;
    }
    accepted += value.has_value();
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace sf
