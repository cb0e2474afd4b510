#include "trainer/tasks/sort_of_clevr/curriculum.h"

#include <gtest/gtest.h>

namespace sf {
namespace {

data::DatasetOptions base_options() {
  data::DatasetOptions options;
  options.samples.non_scene_fraction = 0.1f;
  options.samples.min_objects = 1;
  return options;
}

TEST(CurriculumTest, BeginsWithPlainKeywordsAboutImagesThatHaveTheAnswer) {
  const data::DatasetOptions first = curriculum(base_options(), 0.0, false);
  EXPECT_EQ(first.questions.keyword, 1.0f);
  EXPECT_TRUE(first.questions.plain_keyword);
  for (data::Kind kind : {data::kDescribe, data::kAbsentColour, data::kOffTopic})
    EXPECT_EQ(first.questions.weights[kind], 0) << kind;
  for (data::Kind kind : {data::kShape, data::kClosestShape, data::kCount})
    EXPECT_GT(first.questions.weights[kind], 0) << kind;
  EXPECT_EQ(first.samples.non_scene_fraction, 0);
  EXPECT_EQ(first.samples.min_objects, 2);
}

TEST(CurriculumTest, ThenMixesInSentencesAndRefusals) {
  const data::DatasetOptions second = curriculum(base_options(), 0.25, false);
  EXPECT_EQ(second.questions.keyword, 0.5f);
  EXPECT_FALSE(second.questions.plain_keyword);
  EXPECT_GT(second.questions.weights[data::kAbsentColour], 0);
  EXPECT_EQ(second.questions.weights[data::kDescribe], 0);
  EXPECT_EQ(second.samples.non_scene_fraction, 0.1f);
}

TEST(CurriculumTest, EndsWithWhatWasAskedForAndAWarmModelStartsThere) {
  const data::DatasetOptions base = base_options();
  for (auto [progress, warm] : {std::pair{0.34, false}, {1.0, false}, {0.0, true}}) {
    const data::DatasetOptions options = curriculum(base, progress, warm);
    EXPECT_EQ(options.questions.weights, base.questions.weights);
    EXPECT_EQ(options.questions.keyword, base.questions.keyword);
    EXPECT_EQ(options.samples.non_scene_fraction, base.samples.non_scene_fraction);
    EXPECT_EQ(options.samples.min_objects, base.samples.min_objects);
  }
}

}  // namespace
}  // namespace sf
