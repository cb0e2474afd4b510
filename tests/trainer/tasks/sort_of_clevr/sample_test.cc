#include "trainer/tasks/sort_of_clevr/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf::data {
namespace {

Rgb pixel_at(const Sample& sample, const PreprocessOptions& pre, Point p) {
  const size_t stride = static_cast<size_t>(sample.pixels.grid.columns) * pre.cell_size;
  const size_t plane = stride * sample.pixels.grid.rows * pre.cell_size;
  const size_t at = static_cast<size_t>(p.y) * stride + static_cast<size_t>(p.x);
  const auto byte = [&](size_t channel) {
    return static_cast<uint8_t>(std::clamp(
        (sample.pixels.values[channel * plane + at] * pre.std[channel] + pre.mean[channel]) * 255 + 0.5f, 0.f, 255.f));
  };
  return {byte(0), byte(1), byte(2)};
}

TEST(SampleTest, EverySampleLandsInTheGridAskedFor) {
  Rng rng(1);
  SampleOptions options;
  options.square_fraction = 0;
  options.non_scene_fraction = 0.2f;
  for (int round = 0; round < 150; ++round) {
    const GridSize grid = draw_grid(rng, options);
    const Sample sample = make_sample(rng, grid, options);
    ASSERT_EQ(sample.pixels.grid, grid);
    ASSERT_EQ(sample.pixels.values.size(), size_t(3) * grid.rows * grid.columns * 32 * 32);
    ASSERT_EQ(sample.centres.size(), sample.scene.objects.size());
    EXPECT_EQ(sample.is_scene, !sample.scene.objects.empty());
  }
}

TEST(SampleTest, CentresPointAtTheirObjectsInGridPixels) {
  Rng rng(2);
  SampleOptions options;
  const Style style = plain_style();
  for (int round = 0; round < 60; ++round) {
    int width = 0, height = 0;
    draw_size(rng, rng.uniform(0.5f, 2), width, height);
    const Scene scene = generate_scene(rng, varied_scene_options(rng, width, height, 1, 6));
    const Sample sample = sample_of(scene, render(scene, style, rng), options.pre);
    for (size_t i = 0; i < scene.objects.size(); ++i) {
      EXPECT_LT(distance(pixel_at(sample, options.pre, sample.centres[i]), style.colours[scene.objects[i].colour]), 25)
          << width << " x " << height;
    }
  }
}

TEST(SampleTest, WithoutAugmentationItIsThePapersImage) {
  Rng rng(3);
  SampleOptions options;
  options.augment = false;
  options.min_objects = 6;
  const Sample sample = make_sample(rng, {6, 6}, options);
  EXPECT_EQ(sample.scene.width, 75);
  EXPECT_EQ(sample.scene.height, 75);
  EXPECT_EQ(sample.scene.objects.size(), 6u);
}

TEST(SampleTest, AFixedGridIsAlwaysDrawn) {
  Rng rng(4);
  SampleOptions options;
  options.fixed_rows = 5;
  options.fixed_columns = 7;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(draw_grid(rng, options), (GridSize{5, 7}));
}

TEST(SampleTest, AGridThatNoImageIsLaidOutInIsRefused) {
  Rng rng(5);
  EXPECT_THROW(make_sample(rng, {2, 2}, SampleOptions{}), Error);  // a square image takes 6 x 6 cells
}

TEST(SampleTest, EqualSeedsGiveEqualPixels) {
  SampleOptions options;
  options.non_scene_fraction = 0.5f;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Rng a(seed), b(seed);
    EXPECT_EQ(make_sample(a, {6, 6}, options).pixels.values, make_sample(b, {6, 6}, options).pixels.values);
  }
}

TEST(SampleTest, SizesKeepTheAspectRatioAndTheRange) {
  Rng rng(6);
  for (int i = 0; i < 1000; ++i) {
    const float aspect = rng.uniform(0.5f, 2);
    int width = 0, height = 0;
    draw_size(rng, aspect, width, height);
    EXPECT_GE(std::min(width, height), 64);
    EXPECT_LE(std::min(width, height), 700);
    EXPECT_NEAR(static_cast<float>(width) / static_cast<float>(height), aspect, 0.03f * aspect);
  }
}

}  // namespace
}  // namespace sf::data
