#include <gtest/gtest.h>

#include "engine/runtime/checkpoint_model.h"

namespace sf {
namespace {

TEST(GenerationConfigTest, GreedyUnlessItSaysOtherwise) {
  EXPECT_EQ(parse_generation_config("{}").temperature, 0);
  EXPECT_EQ(parse_generation_config(R"({"do_sample": false, "temperature": 0.9})").temperature, 0);
  const SamplingParams sampled = parse_generation_config(R"({"do_sample": true})");  // transformers' defaults
  EXPECT_EQ(sampled.temperature, 1);
  EXPECT_EQ(sampled.top_p, 1);
  EXPECT_EQ(sampled.top_k, 50);
  const SamplingParams own =
      parse_generation_config(R"({"do_sample": true, "temperature": 0.5, "top_p": 0.25, "top_k": 0, "x": 1})");
  EXPECT_EQ(own.temperature, 0.5f);
  EXPECT_EQ(own.top_p, 0.25f);
  EXPECT_EQ(own.top_k, 0);
}

TEST(GenerationConfigTest, WhatIsNoNumberInRangeIsRefused) {
  for (const char* json :
       {"", "[]", R"({"do_sample": true, "temperature": "hot"})", R"({"do_sample": true, "temperature": -1})",
        R"({"do_sample": true, "top_p": 1.5})", R"({"do_sample": true, "top_k": -1})"}) {
    EXPECT_THROW(parse_generation_config(json), Error) << json;
  }
}

}  // namespace
}  // namespace sf
