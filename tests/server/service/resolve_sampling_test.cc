#include <gtest/gtest.h>

#include "server/service/answer_service.h"

namespace sf::server {
namespace {

TEST(ResolveSamplingTest, TheCheckpointDecidesOnlyWhereTheRequestDoesNot) {
  SamplingParams defaults, nothing;
  defaults.temperature = 0.7f;
  defaults.top_p = 0.9f;
  defaults.top_k = 40;
  nothing.temperature = -1;
  const SamplingParams taken = resolve_sampling(nothing, defaults);
  EXPECT_EQ(taken.temperature, 0.7f);
  EXPECT_EQ(taken.top_p, 0.9f);
  EXPECT_EQ(taken.top_k, 40);
  SamplingParams own = nothing;
  own.top_p = 0.5f;
  own.top_k = 3;
  EXPECT_EQ(resolve_sampling(own, defaults).top_p, 0.5f);
  EXPECT_EQ(resolve_sampling(own, defaults).top_k, 3);
  own.temperature = 0;  // greedy, and asked for
  EXPECT_EQ(resolve_sampling(own, defaults).temperature, 0);
  EXPECT_EQ(resolve_sampling(nothing, {}).temperature, 0);  // greedy, where neither says anything
}

}  // namespace
}  // namespace sf::server
