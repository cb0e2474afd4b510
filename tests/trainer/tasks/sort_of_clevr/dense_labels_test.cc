#include "trainer/tasks/sort_of_clevr/dense_labels.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"

namespace sf::data {
namespace {

TEST(DenseLabelsTest, LabelsTheTokensWhereObjectsAreCentred) {
  Rng rng(3);
  SampleOptions options;
  for (int round = 0; round < 40; ++round) {
    const Sample sample = make_sample(rng, draw_grid(rng, options), options);
    const DenseLabels labels = dense_labels(sample, 16);
    ASSERT_EQ(labels.rows, sample.pixels.grid.rows * 2);
    ASSERT_EQ(labels.columns, sample.pixels.grid.columns * 2);
    int labelled = 0;
    for (int row = 0; row < labels.rows; ++row) {
      for (int column = 0; column < labels.columns; ++column) {
        const int token = row * labels.columns + column, i = labels.object[token];
        if (i < 0) {
          EXPECT_EQ(labels.colour[token], -1);
          EXPECT_EQ(labels.left_right[token], -1);
          continue;
        }
        ++labelled;
        EXPECT_EQ(static_cast<int>(sample.centres[i].x) / 16, column);
        EXPECT_EQ(static_cast<int>(sample.centres[i].y) / 16, row);
        EXPECT_EQ(labels.colour[token], sample.scene.objects[i].colour);
        EXPECT_EQ(labels.shape[token], sample.scene.objects[i].shape);
        EXPECT_EQ(labels.same_shape[token], same_shape_count(sample.scene, i));
        EXPECT_EQ(labels.left_right[token], left_of_centre(sample.scene, i) ? 0 : 1);
        EXPECT_EQ(labels.top_bottom[token], in_top_half(sample.scene, i) ? 0 : 1);
        const int near = nearest(sample.scene, i);
        EXPECT_EQ(labels.nearest_colour[token], near < 0 ? -1 : static_cast<int>(sample.scene.objects[near].colour));
      }
    }
    EXPECT_GE(labelled, 1);
    EXPECT_LE(labelled, static_cast<int>(sample.scene.objects.size()));
  }
}

TEST(DenseLabelsTest, TheFirstOfTwoObjectsKeepsAToken) {
  Sample sample;
  sample.scene = {64, 64, {{kRed, kCircle, 4, 4, 4, 0}, {kBlue, kSquare, 12, 12, 4, 0}}};
  sample.pixels.grid = {2, 2};
  sample.pixels.values.resize(3 * 64 * 64);
  sample.centres = {{4, 4}, {12, 12}};
  const DenseLabels labels = dense_labels(sample, 16);
  EXPECT_EQ(labels.object[0], 0);
  EXPECT_EQ(labels.nearest_colour[0], kBlue);
  EXPECT_EQ(std::count(labels.object.begin(), labels.object.end(), -1), 15);
}

TEST(DenseLabelsTest, ImagesWithoutObjectsHaveNone) {
  Rng rng(4);
  SampleOptions options;
  options.non_scene_fraction = 1;
  const Sample sample = make_sample(rng, {6, 6}, options);
  EXPECT_FALSE(sample.is_scene);
  const DenseLabels labels = dense_labels(sample, 16);
  EXPECT_EQ(labels.object, std::vector<int>(144, -1));
  EXPECT_THROW(dense_labels(sample, 24), Error);
}

}  // namespace
}  // namespace sf::data
