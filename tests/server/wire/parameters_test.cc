#include "server/wire/parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/base/error.h"
#include "server/wire/request_id.h"

namespace sf::server {
namespace {

TEST(ParametersTest, AcceptsTheEdgesAndRefusesWhatIsBeyond) {
  EXPECT_EQ(check_max_tokens(1), 1);
  EXPECT_THROW(check_max_tokens(0), Error);
  EXPECT_THROW(check_max_tokens(-1), Error);
  EXPECT_EQ(check_max_tokens(1'000'000'000), 1 << 20);  // cut to the context later
  EXPECT_EQ(check_max_tokens(std::numeric_limits<int64_t>::max()), 1 << 20);
  EXPECT_EQ(check_temperature(0), 0);
  EXPECT_EQ(check_temperature(2), 2);
  EXPECT_THROW(check_temperature(-0.01), Error);
  EXPECT_THROW(check_temperature(2.01), Error);
  EXPECT_THROW(check_temperature(NAN), Error);
  EXPECT_EQ(check_top_p(1), 1);
  EXPECT_THROW(check_top_p(0), Error);
  EXPECT_GT(check_top_p(1e-60), 0) << "also as a float";
  EXPECT_THROW(check_top_p(1.01), Error);
  EXPECT_THROW(check_top_p(NAN), Error);
  EXPECT_EQ(check_top_k(0), 0);
  EXPECT_EQ(check_top_k(-1), 0) << "off, as vLLM and llama.cpp spell it";
  EXPECT_THROW(check_top_k(-2), Error);
  EXPECT_EQ(check_timeout_ms(1), 1);
  EXPECT_THROW(check_timeout_ms(0), Error);
  EXPECT_FALSE(check_batch_priority("interactive"));
  EXPECT_TRUE(check_batch_priority("batch"));
  EXPECT_THROW(check_batch_priority("Batch"), Error);
}

TEST(ParametersTest, LimitsStopStrings) {
  EXPECT_EQ(check_stop({"a"}).size(), 1u);
  EXPECT_EQ(check_stop(std::vector<std::string>(16, "a")).size(), 16u);
  EXPECT_THROW(check_stop(std::vector<std::string>(17, "a")), Error);
  EXPECT_THROW(check_stop({""}), Error);
  EXPECT_NO_THROW(check_stop({std::string(256, 'a')}));
  EXPECT_THROW(check_stop({std::string(257, 'a')}), Error);
  EXPECT_THROW(check_stop({"\xc3"}), Error);
}

TEST(ParametersTest, RefusesEmptyAndBrokenQuestions) {
  EXPECT_EQ(check_question("what?"), "what?");
  for (const char* text : {"", " ", "\n\t", "\xff", "a\xc0\xaf", "\xed\xa0\x80"}) {
    try {
      check_question(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "question");
    }
  }
}

TEST(ParametersTest, ParsesWholeNumbersOnly) {
  EXPECT_EQ(parse_integer("-12", "n"), -12);
  EXPECT_EQ(parse_unsigned("18446744073709551615", "n"), 18446744073709551615u);
  EXPECT_EQ(parse_number("0.5", "n"), 0.5);
  EXPECT_TRUE(parse_bool("1", "n"));
  for (const char* text : {"", " 1", "1 ", "1x", "0x1", "1e3", "9223372036854775808"}) {
    EXPECT_THROW(parse_integer(text, "n"), Error) << text;
  }
  EXPECT_THROW(parse_unsigned("-1", "n"), Error);
  for (const char* text : {"nan", "inf", "", "1,5"}) EXPECT_THROW(parse_number(text, "n"), Error) << text;
  EXPECT_THROW(parse_bool("yes", "n"), Error);
}

TEST(RequestIdTest, KeepsHarmlessIdsAndReplacesTheRest) {
  EXPECT_EQ(choose_request_id("a.B_9-z"), "a.B_9-z");
  EXPECT_EQ(choose_request_id(std::string(128, 'a')), std::string(128, 'a'));
  for (const std::string& bad : {std::string(), std::string(129, 'a'), std::string("a b"), std::string("a\r\nb"),
                                 std::string("a%0d%0ab"), std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    const std::string chosen = choose_request_id(bad);
    EXPECT_NE(chosen, bad);
    EXPECT_TRUE(is_valid_request_id(chosen));
  }
  EXPECT_NE(choose_request_id(""), choose_request_id(""));
}

}  // namespace
}  // namespace sf::server
