// Greedy or sampled answers of a tiny engine with everything that must not depend on how they were computed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/support/tiny_model.h"

namespace sf::test {

inline constexpr double kLogprobTolerance = 1e-4;  // f32: other batch shapes round differently
inline constexpr size_t kAnswerTokens = 10;

struct Outcome {
  std::vector<int> tokens;
  std::vector<float> logprobs;
  std::vector<uint32_t> assigned, overflow;  // so far, when each token came
  uint32_t cached = 0;
  uint32_t assigned_now = 0, overflow_now = 0;

  // Takes what a step says; false at the end.
  bool take(const SequenceStepResult& out) {
    assigned_now += out.assigned_tokens;
    overflow_now += out.overflow_tokens;
    cached += out.cached_tokens;
    for (size_t i = 0; i < out.tokens.size(); ++i) {
      tokens.push_back(out.tokens[i]);
      logprobs.push_back(out.logprobs[i]);
      assigned.push_back(assigned_now);
      overflow.push_back(overflow_now);
    }
    return !out.error && !out.stop_token && tokens.size() < kAnswerTokens;
  }
};

inline void expect_same(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  ASSERT_EQ(a.logprobs.size(), b.logprobs.size());
  for (size_t i = 0; i < a.logprobs.size(); ++i) EXPECT_NEAR(a.logprobs[i], b.logprobs[i], kLogprobTolerance);
  EXPECT_EQ(a.assigned, b.assigned);
  EXPECT_EQ(a.overflow, b.overflow);
}

// Questions 0..23 differ.
inline std::vector<Message> ask(uint64_t image, int question, int width = 90, int height = 90) {
  static const char* colours[] = {"red", "green", "blue", "orange", "grey", "yellow"};
  const std::string colour = colours[question % 6];
  const std::string texts[] = {"what shape is the " + colour + " object?", "count " + colour,
                               "is the " + colour + " object on the left?",
                               "describe the picture and the " + colour + " one"};
  return {{"user",
           {{Part::Kind::kImage, random_image(image, width, height)}, {Part::Kind::kText, texts[question / 6 % 4]}}}};
}

// What a frontend costs without other load; `chunk` prompt tokens a step at most.
inline Outcome answer_alone(Engine& engine, const std::vector<Message>& messages, const SamplingParams& sampling = {},
                            int chunk = 1000) {
  const SequenceId id = engine.admit(engine.prepare(messages), sampling);
  Outcome answer;
  for (bool going = true; going;) {
    const StepResult step = engine.step({{{id, std::min(chunk, engine.tokens_to_compute(id))}}});
    EXPECT_FALSE(step.sequences[0].out_of_pages);
    going = answer.take(step.sequences[0]);
  }
  engine.release(id);
  return answer;
}

}  // namespace sf::test
