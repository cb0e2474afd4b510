#include "server/wire/json_parse.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf::server {
namespace {

std::string field_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.field();
  }
  return "no error";
}

TEST(JsonParseTest, RefusesWhatIsNotOneStrictObject) {
  for (const char* text : {"", "{", "[]", "1", "null", "\"text\"", "{} {}", "{\"a\":1,}", "{'a':1}", "{\"a\":NaN}",
                           "{\"a\":1e999}", "{\"a\":\"\xff\"}", "{\"a\":1,\"a\":2}", "{\"o\":{\"k\":1,\"k\":1}}"}) {
    EXPECT_THROW(parse_json_object(text, 32), Error) << text;
  }
}

TEST(JsonParseTest, CapsDepth) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<size_t>(depth - 1), '[') +
           std::string(static_cast<size_t>(depth - 1), ']') + "}";
  };
  EXPECT_NO_THROW(parse_json_object(nested(32), 32));
  EXPECT_THROW(parse_json_object(nested(33), 32), Error);
  EXPECT_THROW(parse_json_object(nested(1000000), 32), Error);
}

TEST(JsonParseTest, ReadsTypesAndTreatsNullAsAbsent) {
  const auto body = parse_json_object(
      R"({"s":"x","b":true,"n":0.5,"i":-3,"w":2.0,"u":18446744073709551615,"z":null,"l":["a","b"]})", 4);
  EXPECT_EQ(get_string(body, "s"), "x");
  EXPECT_EQ(get_bool(body, "b"), true);
  EXPECT_EQ(get_number(body, "n"), 0.5);
  EXPECT_EQ(get_integer(body, "i"), -3);
  EXPECT_EQ(get_integer(body, "w"), 2);
  EXPECT_EQ(get_unsigned(body, "u"), 18446744073709551615u);
  EXPECT_EQ(get_strings(body, "l"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(get_strings(body, "s"), std::vector<std::string>{"x"});
  EXPECT_EQ(get_string(body, "z"), std::nullopt);
  EXPECT_EQ(get_integer(body, "absent"), std::nullopt);
}

TEST(JsonParseTest, NamesTheFieldOfWrongType) {
  const auto body = parse_json_object(R"({"s":1,"b":"true","n":"1","i":1.5,"u":-1,"l":["a",1],"big":1e300})", 4);
  EXPECT_EQ(field_of([&] { get_string(body, "s"); }), "s");
  EXPECT_EQ(field_of([&] { get_bool(body, "b"); }), "b");
  EXPECT_EQ(field_of([&] { get_number(body, "n"); }), "n");
  EXPECT_EQ(field_of([&] { get_integer(body, "i"); }), "i");
  EXPECT_EQ(field_of([&] { get_integer(body, "big"); }), "big");
  EXPECT_EQ(field_of([&] { get_unsigned(body, "u"); }), "u");
  EXPECT_EQ(field_of([&] { get_strings(body, "l"); }), "l");
}

}  // namespace
}  // namespace sf::server
