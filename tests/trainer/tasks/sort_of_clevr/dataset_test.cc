#include "trainer/tasks/sort_of_clevr/dataset.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf::data {
namespace {

DatasetOptions small() {
  DatasetOptions options;
  options.batch_size = 4;
  options.samples.non_scene_fraction = 0.2f;
  options.questions.count = 5;
  return options;
}

TEST(DatasetTest, ABatchSharesOneGridAndHasQuestionsForEverySample) {
  for (int64_t i = 0; i < 10; ++i) {
    const Batch batch = make_batch(small(), 1, i);
    ASSERT_EQ(batch.samples.size(), 4u);
    ASSERT_EQ(batch.questions.size(), 4u);
    for (size_t s = 0; s < 4; ++s) {
      EXPECT_EQ(batch.samples[s].pixels.grid, batch.grid);
      EXPECT_EQ(batch.questions[s].size(), 5u);
      for (const Question& q : batch.questions[s]) EXPECT_EQ(q.kind == kNonScene, !batch.samples[s].is_scene);
    }
  }
}

TEST(DatasetTest, ABatchIsAFunctionOfSeedAndIndexAlone) {
  const Batch later = make_batch(small(), 1, 7);
  make_batch(small(), 1, 3);
  const Batch again = make_batch(small(), 1, 7);
  for (size_t s = 0; s < later.samples.size(); ++s) {
    EXPECT_EQ(later.samples[s].pixels.values, again.samples[s].pixels.values);
    EXPECT_EQ(later.questions[s][0].text, again.questions[s][0].text);
  }
  EXPECT_NE(make_batch(small(), 1, 8).samples[0].pixels.values, later.samples[0].pixels.values);
  EXPECT_NE(make_batch(small(), 2, 7).samples[0].pixels.values, later.samples[0].pixels.values);
}

TEST(DatasetTest, RefusesEmptyBatches) {
  DatasetOptions options = small();
  options.batch_size = 0;
  EXPECT_THROW(make_batch(options, 1, 0), Error);
}

}  // namespace
}  // namespace sf::data
