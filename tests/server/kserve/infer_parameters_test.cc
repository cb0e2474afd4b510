#include "server/kserve/infer_parameters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "server/wire/parameters.h"

namespace sf::server {
namespace {

std::string refused_field(const InferParameterMap& map) {
  try {
    read_infer_parameters(map);
    return "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.field();
  }
}

TEST(InferParametersTest, ReadsEveryOne) {
  const InferParameters parameters = read_infer_parameters({{"max_tokens", int64_t{5}},
                                                            {"temperature", 0.5},
                                                            {"top_p", int64_t{1}},
                                                            {"top_k", 7.0},
                                                            {"seed", UINT64_MAX},
                                                            {"stop", std::string("x")},
                                                            {"priority", uint64_t{2}},
                                                            {"timeout", uint64_t{1'500}},
                                                            {"binary_data_output", true},
                                                            {"triton_enable_empty_final_response", true}});
  const AnswerFields& fields = parameters.fields;
  EXPECT_EQ(fields.max_tokens, 5);
  EXPECT_EQ(fields.temperature, 0.5);
  EXPECT_EQ(fields.top_p, 1.0);
  EXPECT_EQ(fields.top_k, 7);
  EXPECT_EQ(fields.seed, UINT64_MAX);
  EXPECT_EQ(fields.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(fields.priority, "batch");
  EXPECT_EQ(fields.timeout_ms, 2);  // 1.5 ms, rounded up
  EXPECT_TRUE(parameters.binary_output);
  EXPECT_TRUE(parameters.empty_final_response);
}

TEST(InferParametersTest, PriorityIsTritonsLevelOrAName) {
  for (const InferValue& value : {InferValue(uint64_t{0}), InferValue(uint64_t{1}), InferValue(int64_t{1}),
                                  InferValue(std::string("interactive"))}) {
    EXPECT_EQ(read_infer_parameters({{"priority", value}}).fields.priority, "interactive");
  }
  EXPECT_EQ(read_infer_parameters({{"priority", UINT64_MAX}}).fields.priority, "batch");
  EXPECT_EQ(read_infer_parameters({{"priority", std::string("batch")}}).fields.priority, "batch");
  EXPECT_EQ(refused_field({{"priority", int64_t{-1}}}), "priority");
  EXPECT_EQ(refused_field({{"priority", true}}), "priority");
}

TEST(InferParametersTest, ATimeoutOfNothingIsNone) {
  EXPECT_FALSE(read_infer_parameters({{"timeout", int64_t{0}}}).fields.timeout_ms);
  EXPECT_EQ(read_infer_parameters({{"timeout", int64_t{1}}}).fields.timeout_ms, 1);
  EXPECT_EQ(read_infer_parameters({{"timeout", UINT64_MAX}}).fields.timeout_ms, kMaxTimeoutMs);
  EXPECT_EQ(refused_field({{"timeout", int64_t{-1}}}), "timeout");
}

TEST(InferParametersTest, IgnoresWhatIsTheProtocols) {
  for (const char* name : {"triton_final_response", "triton_anything", "headers"}) {
    EXPECT_EQ(refused_field({{name, std::string("x")}}), "accepted") << name;
  }
  // The stock client's "no sequence".
  EXPECT_EQ(refused_field({{"sequence_id", int64_t{0}}, {"sequence_start", false}, {"sequence_end", false}}),
            "accepted");
}

TEST(InferParametersTest, NamesOfOtherServersFollowTheTable) {
  EXPECT_EQ(refused_field({{"user", std::string("somebody")}, {"best_of", int64_t{1}}, {"min_p", 0.0}}), "accepted");
  EXPECT_EQ(refused_field({{"best_of", int64_t{2}}}), "best_of");
  EXPECT_EQ(refused_field({{"min_p", 0.5}}), "min_p");
  EXPECT_EQ(refused_field({{"bad_words", std::vector<std::string>{"x"}}}), "bad_words");
  EXPECT_EQ(refused_field({{"logit_bias", std::string("{")}}), "logit_bias");
  EXPECT_EQ(refused_field({{"logit_bias", int64_t{5}}}), "logit_bias");
  EXPECT_EQ(refused_field({{"ignore_eos", int64_t{1}}}), "ignore_eos");
}

TEST(InferParametersTest, RefusesSequencesUnknownNamesAndWrongTypes) {
  EXPECT_EQ(refused_field({{"sequence_id", int64_t{5}}}), "sequence_id");
  EXPECT_EQ(refused_field({{"sequence_id", std::string("s")}}), "sequence_id");
  EXPECT_EQ(refused_field({{"sequence_start", true}}), "sequence_start");
  EXPECT_EQ(refused_field({{"max_token", int64_t{5}}}), "max_token");
  EXPECT_EQ(refused_field({{"max_tokens", std::string("5")}}), "max_tokens");
  EXPECT_EQ(refused_field({{"max_tokens", 1.5}}), "max_tokens");
  EXPECT_EQ(refused_field({{"max_tokens", std::nan("")}}), "max_tokens");
  EXPECT_EQ(refused_field({{"max_tokens", UINT64_MAX}}), "max_tokens");
  EXPECT_EQ(refused_field({{"seed", int64_t{-1}}}), "seed");
  EXPECT_EQ(refused_field({{"temperature", true}}), "temperature");
  EXPECT_EQ(refused_field({{"stop", int64_t{1}}}), "stop");
  EXPECT_EQ(refused_field({{"binary_data_output", int64_t{1}}}), "binary_data_output");
  EXPECT_EQ(refused_field({{std::string(4096, 'x'), true}}).size(), 128u);
}

}  // namespace
}  // namespace sf::server
