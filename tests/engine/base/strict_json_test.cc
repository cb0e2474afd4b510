#include "engine/base/strict_json.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/base/error.h"

namespace sf {
namespace {

Error error_of(const std::string& text, int max_depth = 8) {
  try {
    parse_strict_json(text, "f.json", max_depth);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(std::string(error.what()).substr(0, 8), "f.json: ");
    return error;
  }
  ADD_FAILURE() << "accepted " << text;
  return Error(Code::kOk, "");
}

TEST(StrictJsonTest, RefusesWhatIsNotOneValue) {
  for (const char* text : {"", "{", "{} {}", "[1,]", "{\"a\":1,}", "// x\n1", "nul", "01", "\"\xff\"", "1e999", "NaN"})
    error_of(text);
}

TEST(StrictJsonTest, RefusesDuplicateKeysAtAnyLevel) {
  EXPECT_EQ(error_of(R"({"a":1,"b":{},"a":2})").field(), "a");
  EXPECT_EQ(error_of(R"([{"x":{"y":1,"y":1}}])").field(), "y");
  EXPECT_NO_THROW(parse_strict_json(R"([{"a":1},{"a":{"a":2}}])", "f.json"));
}

TEST(StrictJsonTest, DepthIsBoundedAndInclusive) {
  EXPECT_NO_THROW(parse_strict_json("[[[]]]", "f.json", 3));
  error_of("[[[[]]]]", 3);
  error_of(R"({"a":{"a":{"a":{}}}})", 3);
  error_of(std::string(1'000'000, '['));
}

TEST(StrictJsonTest, MembersAreCheckedByNameTypeAndRange) {
  const auto object =
      parse_strict_json(R"({"i":5,"big":18446744073709551615,"low":-9223372036854775808,"f":1.5,"s":"x"})", "f.json");
  EXPECT_EQ(json_int(object, "i", 5, 5, "f"), 5);
  EXPECT_THROW(json_int(object, "i", 6, 9, "f"), Error);
  EXPECT_THROW(json_int(object, "big", 0, INT64_MAX, "f"), Error);
  EXPECT_EQ(json_int(object, "low", INT64_MIN, 0, "f"), INT64_MIN);
  EXPECT_THROW(json_int(object, "f", 0, 9, "f"), Error);
  EXPECT_THROW(json_int(object, "none", 0, 9, "f"), Error);
  EXPECT_EQ(json_number(object, "f", "f"), 1.5);
  EXPECT_EQ(json_number(object, "i", "f"), 5.0);
  EXPECT_THROW(json_number(object, "s", "f"), Error);
  EXPECT_EQ(json_string(object, "s", "f"), "x");
  EXPECT_THROW(json_string(object, "i", "f"), Error);
  EXPECT_THROW(json_string(parse_strict_json("[]", "f"), "i", "f"), Error);
}

}  // namespace
}  // namespace sf
