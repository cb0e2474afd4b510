#include "engine/explain/overlay.h"

#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <set>

#include "engine/base/error.h"
#include "tests/engine/explain/explanation_fixture.h"

namespace sf {
namespace {

Image plain(int width, int height, Rgb8 colour) {
  Image image{width, height, std::vector<uint8_t>(size_t(width) * height * 3)};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

int brightness(const Image& image, int x, int y) {
  const uint8_t* pixel = image.pixels.data() + (size_t(y) * image.width + x) * 3;
  return pixel[0] + pixel[1] + pixel[2];
}

Rgb8 colour_at(const Image& image, int x, int y) {
  const uint8_t* pixel = image.pixels.data() + (size_t(y) * image.width + x) * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

TEST(OverlayTest, HeatIsBrighterTheMoreThereIs) {
  int last = -1;
  for (int i = 0; i <= 40; ++i) {
    const Rgb8 c = heat_colour(i / 40.0);
    const int luminance = int(0.2126 * c[0] * 100 + 0.7152 * c[1] * 100 + 0.0722 * c[2] * 100);
    EXPECT_GT(luminance, last) << i;
    last = luminance;
  }
  EXPECT_EQ(heat_colour(-3), heat_colour(0));
  EXPECT_EQ(heat_colour(7), heat_colour(1));
}

TEST(OverlayTest, ExpertsHaveColoursOfTheirOwn) {
  for (int experts : {1, 8, 9, 16}) {
    std::set<Rgb8> colours;
    for (int e = 0; e < experts; ++e) colours.insert(expert_colour(e, experts));
    EXPECT_EQ(colours.size(), size_t(experts));
  }
}

TEST(OverlayTest, TheMaximumIsBrightestAndFramed) {
  const Explanation e = test::small_explanation();
  const Image image = heatmap_overlay(plain(60, 40, {128, 128, 128}), e, e.tokens[0].heatmap, {.long_side = 120});
  ASSERT_EQ(image.width, 120);
  ASSERT_EQ(image.height, 80);
  // The middles of the cells: 40 pixels apart.
  EXPECT_GT(brightness(image, 100, 60), brightness(image, 60, 60));
  EXPECT_GT(brightness(image, 60, 60), brightness(image, 100, 20));
  EXPECT_GT(brightness(image, 100, 20), brightness(image, 20, 20));
  EXPECT_EQ(colour_at(image, 80, 60), (Rgb8{255, 255, 255}));  // the frame's left edge
  EXPECT_NE(colour_at(image, 40, 60), (Rgb8{255, 255, 255}));
}

TEST(OverlayTest, PaddingAroundTheImageIsLeftOut) {
  // A wide image in the middle of 2 x 2 cells: only the lower half of the upper cells and the upper of the lower.
  Explanation e = test::small_explanation();
  e.columns = 2;
  e.image = {.width = 64, .height = 32, .cell_size = 32, .left = 0, .top = 16, .scaled_width = 64, .scaled_height = 32};
  const Image image = heatmap_overlay(plain(64, 32, {0, 0, 0}), e, {1, 0, 0, 0}, {.long_side = 64});
  EXPECT_GT(brightness(image, 8, 8), brightness(image, 8, 28));
  EXPECT_GT(brightness(image, 8, 8), brightness(image, 56, 8));
}

TEST(OverlayTest, WhatACropCutsOffShowsNoHeatAndNoExpert) {
  // A wide image of which the model saw the middle third, as 1 x 1 cells.
  Explanation e = test::small_explanation();
  e.rows = e.columns = 1;
  e.routing = {{"<image>", true, {{0}}, {{1.0f}}}};
  e.image = {
      .width = 90, .height = 30, .cell_size = 32, .left = -32, .top = 0, .scaled_width = 96, .scaled_height = 32};
  const Image heat = heatmap_overlay(plain(90, 30, {0, 0, 0}), e, {1}, {.long_side = 90});
  EXPECT_GT(brightness(heat, 45, 15), 300);
  EXPECT_LT(brightness(heat, 10, 15), 10);
  EXPECT_LT(brightness(heat, 80, 15), 10);
  const Image experts = expert_overlay(plain(90, 30, {0, 0, 0}), e, {.long_side = 90});
  EXPECT_GT(brightness(experts, 45, 15), 100);
  EXPECT_EQ(brightness(experts, 10, 15), 0);
}

TEST(OverlayTest, AGridNarrowerThanAPixelIsDrawn) {
  Explanation e = test::small_explanation();
  e.rows = e.columns = 1;
  e.routing = {{"<image>", true, {{0}}, {{1.0f}}}};
  e.image = {.width = 10'000,
             .height = 10,
             .cell_size = 32,
             .left = -15'984,
             .top = 0,
             .scaled_width = 32'000,
             .scaled_height = 32};
  EXPECT_EQ(heatmap_overlay(plain(10'000, 10, {9, 9, 9}), e, {1}, {.long_side = 480}).width, 480);
  EXPECT_EQ(expert_overlay(plain(10'000, 10, {9, 9, 9}), e, {.long_side = 480}).width, 480);
}

TEST(OverlayTest, DrawingStartsNoThreads) { EXPECT_EQ(cv::getNumThreads(), 1); }

TEST(OverlayTest, EveryGridAndSizeIsDrawn) {
  for (int rows : {1, 2}) {
    for (int columns : {1, 3}) {
      Explanation e = test::small_explanation();
      e.rows = rows;
      e.columns = columns;
      e.routing.resize(size_t(rows) * columns);
      e.image = {.width = 1,
                 .height = 3,
                 .cell_size = 32,
                 .left = 0,
                 .top = 0,
                 .scaled_width = 32,
                 .scaled_height = 32 * rows};
      const std::vector<float> heatmap(size_t(rows) * columns, 1.0f / float(rows * columns));
      EXPECT_EQ(heatmap_overlay(plain(1, 3, {9, 9, 9}), e, heatmap, {.long_side = 30}).height, 30);
      EXPECT_EQ(expert_overlay(plain(1, 3, {9, 9, 9}), e, {.long_side = 30}).height, 30);
    }
  }
}

TEST(OverlayTest, AHeatmapOfAnotherGridIsRefused) {
  const Explanation e = test::small_explanation();
  EXPECT_THROW(heatmap_overlay(plain(6, 4, {0, 0, 0}), e, {1.0f}), Error);
}

TEST(OverlayTest, CellsAreTintedByTheirFirstExpertLayerByLayer) {
  const Explanation e = test::small_explanation();
  const Image image = expert_overlay(plain(60, 40, {0, 0, 0}), e, {.long_side = 60});
  ASSERT_GT(image.width, 120);  // two layers side by side
  const auto tint = [](int expert) {
    Rgb8 c = expert_colour(expert, 4);
    for (uint8_t& channel : c) channel = static_cast<uint8_t>(std::lround(channel * 0.6));
    return c;
  };
  EXPECT_EQ(colour_at(image, 10, 10), tint(0));
  EXPECT_EQ(colour_at(image, 30, 10), tint(0));
  const int second = image.width - 60;
  EXPECT_EQ(colour_at(image, second + 10, 10), tint(0));
  EXPECT_EQ(colour_at(image, second + 30, 10), tint(1));
}

TEST(OverlayTest, SharesAreOfOneModalityAndSumToOne) {
  const Explanation e = test::small_explanation();
  EXPECT_EQ(expert_shares(e, true)[0], (std::vector<double>{0.5, 0.5, 0, 0}));
  EXPECT_EQ(expert_shares(e, true)[1], (std::vector<double>{0.25, 0.25, 0, 0.5}));
  EXPECT_EQ(expert_shares(e, false)[0], (std::vector<double>{0, 0, 0.5, 0.5}));
  EXPECT_GT(expert_usage_map(e).width, 2 * 4 * 16);
}

TEST(OverlayTest, ThePngIsReadBackAsItWas) {
  const Explanation e = test::small_explanation();
  const Image image = heatmap_overlay(plain(60, 40, {10, 200, 30}), e, e.tokens[0].heatmap);
  EXPECT_EQ(decode_image(encode_png(image)).pixels, image.pixels);
}

}  // namespace
}  // namespace sf
