#include "server/wire/logit_parameters.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf::server {
namespace {

using nlohmann::json;

SamplingParams applied(const json& body) {
  SamplingParams sampling;
  apply_logit_parameters(read_logit_parameters(body), sampling);
  return sampling;
}

std::string refused_field(const json& body) {
  try {
    applied(body);
    return "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_TRUE(std::string(error.what()).starts_with(error.field())) << error.what();
    return error.field();
  }
}

TEST(LogitParametersTest, NothingChangesByDefault) {
  for (const json& body : {json::object(), json({{"logit_bias", json::object()}, {"ignore_eos", false}}),
                           json({{"logit_bias", nullptr}, {"min_tokens", nullptr}, {"presence_penalty", nullptr}}),
                           json({{"min_tokens", 0}, {"presence_penalty", 0}, {"frequency_penalty", 0.0}}),
                           json({{"repetition_penalty", 1}, {"logit_bias", json::array()}})}) {
    EXPECT_FALSE(applied(body).changes_logits()) << body;
  }
}

TEST(LogitParametersTest, EachChangesSomething) {
  for (const json& body :
       {json({{"min_tokens", 1}}), json({{"ignore_eos", true}}), json({{"presence_penalty", -2}}),
        json({{"frequency_penalty", 2}}), json({{"repetition_penalty", 1.1}}), json({{"logit_bias", {{"5", -100}}}})}) {
    EXPECT_TRUE(applied(body).changes_logits()) << body;
  }
  const SamplingParams all = applied({{"min_tokens", 3},
                                      {"presence_penalty", 0.5},
                                      {"frequency_penalty", -0.25},
                                      {"repetition_penalty", 1.5},
                                      {"logit_bias", {{"7", 2}, {"11", -1.5}}}});
  EXPECT_EQ(all.min_tokens, 3);
  EXPECT_EQ(all.presence_penalty, 0.5f);
  EXPECT_EQ(all.frequency_penalty, -0.25f);
  EXPECT_EQ(all.repetition_penalty, 1.5f);
  EXPECT_EQ(all.logit_bias, (std::vector<std::pair<int, float>>{{7, 2.0f}, {11, -1.5f}}));
}

TEST(LogitParametersTest, NamesTheFieldThatIsWrong) {
  json many = json::object();
  for (size_t id = 0; id <= kMaxLogitBiases; ++id) many[std::to_string(id)] = 1;
  const std::pair<const char*, json> cases[] = {{"min_tokens", -1},
                                                {"min_tokens", 1.5},
                                                {"min_tokens", (1 << 20) + 1},
                                                {"ignore_eos", 1},
                                                {"presence_penalty", 2.1},
                                                {"presence_penalty", "x"},
                                                {"frequency_penalty", -2.1},
                                                {"repetition_penalty", 0},
                                                {"repetition_penalty", -1},
                                                {"repetition_penalty", 11},
                                                {"logit_bias", 5},
                                                {"logit_bias", {1, 2}},
                                                {"logit_bias", {{"five", 1}}},
                                                {"logit_bias", {{"5", "x"}}},
                                                {"logit_bias", {{"-1", 1}}},
                                                {"logit_bias", {{"99999999999", 1}}},
                                                {"logit_bias", {{"5", 101}}},
                                                {"logit_bias", {{"5", 1}, {"05", 2}}},
                                                {"logit_bias", many}};
  for (const auto& [name, value] : cases) EXPECT_EQ(refused_field({{name, value}}), name) << value.dump().substr(0, 80);
}

TEST(LogitParametersTest, AFormHasThemAsText) {
  LogitParameters parameters;
  for (const auto& [name, text] : {std::pair<const char*, const char*>{"min_tokens", "3"},
                                   {"ignore_eos", "true"},
                                   {"presence_penalty", "0.5"},
                                   {"frequency_penalty", "-1"},
                                   {"repetition_penalty", "1.25"},
                                   {"logit_bias", "{\"5\": -100}"}}) {
    EXPECT_TRUE(set_logit_parameter(parameters, name, text)) << name;
  }
  EXPECT_FALSE(set_logit_parameter(parameters, "min_p", "0.5"));
  SamplingParams sampling;
  apply_logit_parameters(parameters, sampling);
  EXPECT_EQ(sampling.min_tokens, 3);
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_EQ(sampling.repetition_penalty, 1.25f);
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<int, float>>{{5, -100.0f}}));
  for (const std::string& text : {std::string("5"), std::string("{"), std::string("{\"5\": {\"a\": {}}}"),
                                  "{\"" + std::string(1 << 20, '1') + "\": 1}"}) {
    try {
      set_logit_parameter(parameters, "logit_bias", text);
      ADD_FAILURE() << text.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "logit_bias");
    }
  }
}

}  // namespace
}  // namespace sf::server
