#include "trainer/tasks/sort_of_clevr/renderer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>

#include "trainer/tasks/sort_of_clevr/non_scene.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {
namespace {

Rgb at(const Image& image, float x, float y) {
  const size_t i = (static_cast<size_t>(y) * image.width + static_cast<size_t>(x)) * 3;
  return {image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]};
}

struct Hsv {
  float hue, saturation, value;
};

Hsv hsv_of(Rgb c) {
  const float high = std::max({c.r, c.g, c.b}), low = std::min({c.r, c.g, c.b}), span = high - low;
  float hue = 0;
  if (span > 0) {
    if (high == c.r)
      hue = 60 * (float(c.g) - float(c.b)) / span;
    else if (high == c.g)
      hue = 60 * (float(c.b) - float(c.r)) / span + 120;
    else
      hue = 60 * (float(c.r) - float(c.g)) / span + 240;
  }
  return {hue < -20 ? hue + 360 : hue, high > 0 ? span / high : 0, high / 255};
}

TEST(RendererTest, PlainImagesAreWhiteWithPureColours) {
  Rng rng(1);
  const Scene scene = generate_scene(rng, {});
  const Image image = render(scene, plain_style(), rng);
  for (const Object& object : scene.objects) {
    EXPECT_EQ(at(image, object.x, object.y), plain_style().colours[object.colour]);
  }
  int white = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    white += image.pixels[i] == 255 && image.pixels[i + 1] == 255 && image.pixels[i + 2] == 255;
  EXPECT_GT(white, 75 * 75 * 8 / 10);
}

TEST(RendererTest, ACircleHasTheAreaOfACircle) {
  Rng rng(2);
  for (const bool antialias : {true, false}) {
    Style style = plain_style();
    style.antialias = antialias;
    const Scene scene{100, 100, {{kRed, kCircle, 50.3f, 49.6f, 20, 0}}};
    const Image image = render(scene, style, rng);
    double area = 0;
    for (size_t i = 0; i < image.pixels.size(); i += 3) area += (255 - image.pixels[i + 1]) / 255.0;
    EXPECT_NEAR(area, M_PI * 400, 12);
  }
}

TEST(RendererTest, ATurnedSquareKeepsItsArea) {
  Rng rng(3);
  const Scene scene{100, 100, {{kRed, kSquare, 50, 50, 20, 0.2f}}};
  const Image image = render(scene, plain_style(), rng);
  double area = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) area += (255 - image.pixels[i + 1]) / 255.0;
  EXPECT_NEAR(area, 1600, 16);
}

TEST(RendererTest, EveryColourDiffersFromItsBackground) {
  Rng rng(4);
  for (int round = 0; round < 1000; ++round) {
    const Style style = random_style(rng);
    for (const Rgb colour : style.colours) {
      EXPECT_GE(distance_to_segment(colour, style.background, style.background2), kMinContrast);
    }
  }
}

TEST(RendererTest, BackgroundsCoverLightAndDark) {
  Rng rng(5);
  int white = 0, dark = 0, gradients = 0, outlined = 0, compressed = 0;
  for (int round = 0; round < 2000; ++round) {
    const Style style = random_style(rng);
    const int brightest = std::max({style.background.r, style.background.g, style.background.b});
    white += std::min({style.background.r, style.background.g, style.background.b}) >= 235;
    dark += brightest < 64;
    gradients += style.ground != Style::Ground::kSolid;
    outlined += style.outline > 0;
    compressed += style.jpeg_quality > 0;
  }
  EXPECT_NEAR(white, 700, 200);
  EXPECT_NEAR(dark, 450, 200);
  EXPECT_GT(gradients, 150);
  EXPECT_GT(outlined, 200);
  EXPECT_GT(compressed, 200);
}

TEST(RendererTest, ShadesStayInTheRangesOfTheirNames) {
  Rng rng(6);
  for (int round = 0; round < 1000; ++round) {
    for (int i = 0; i < kNumColours; ++i) {
      const Hsv shade = hsv_of(random_shade(rng, static_cast<Colour>(i)));
      switch (static_cast<Colour>(i)) {
        case kRed:
          EXPECT_TRUE(shade.hue >= 344 || shade.hue <= 13) << shade.hue;
          break;
        case kGreen:
          EXPECT_TRUE(shade.hue >= 81 && shade.hue <= 156) << shade.hue;
          break;
        case kBlue:
          EXPECT_TRUE(shade.hue >= 197 && shade.hue <= 251) << shade.hue;
          break;
        case kOrange:
          EXPECT_TRUE(shade.hue >= 16 && shade.hue <= 42) << shade.hue;
          break;
        case kGrey:
          EXPECT_LE(shade.saturation, 0.22f);
          break;
        case kYellow:
          EXPECT_TRUE(shade.hue >= 46 && shade.hue <= 65) << shade.hue;
          break;
      }
    }
  }
}

TEST(RendererTest, ObjectsKeepTheirColourUnderEveryStyle) {
  Rng rng(7);
  for (int round = 0; round < 300; ++round) {
    const Scene scene = generate_scene(rng, varied_scene_options(rng, 160, 160, 1, 6));
    const Style style = random_style(rng);
    const Image image = render(scene, style, rng);
    for (const Object& object : scene.objects) {
      double sum[3] = {};
      for (int dy = -1; dy <= 1; ++dy) {
        for (int dx = -1; dx <= 1; ++dx) {
          const Rgb c = at(image, object.x + static_cast<float>(dx), object.y + static_cast<float>(dy));
          sum[0] += c.r, sum[1] += c.g, sum[2] += c.b;
        }
      }
      const Rgb mean{static_cast<uint8_t>(sum[0] / 9), static_cast<uint8_t>(sum[1] / 9),
                     static_cast<uint8_t>(sum[2] / 9)};
      EXPECT_LT(distance(mean, style.colours[object.colour]), 60) << "round " << round;
    }
  }
}

TEST(RendererTest, JpegRoundTripKeepsSizeAndNearlyTheColours) {
  const Image image = filled(37, 21, {200, 40, 90});
  for (const bool subsample : {false, true}) {
    const Image back = jpeg_round_trip(image, 90, subsample);
    EXPECT_EQ(back.width, 37);
    EXPECT_EQ(back.height, 21);
    EXPECT_LT(distance(at(back, 18, 10), {200, 40, 90}), 8);
  }
}

TEST(RendererTest, BlurAndNoiseKeepTheMean) {
  Rng rng(8);
  Image image = filled(64, 64, {100, 100, 100});
  add_noise(image, 30, rng);
  double sum = 0;
  for (const uint8_t value : image.pixels) sum += value;
  EXPECT_NEAR(sum / double(image.pixels.size()), 100, 1);
  EXPECT_NE(image.pixels, filled(64, 64, {100, 100, 100}).pixels);
  blur(image, 1);
  sum = 0;
  for (const uint8_t value : image.pixels) sum += value;
  EXPECT_NEAR(sum / double(image.pixels.size()), 100, 1);
}

// Training is reproducible on processors that differ in their vector instructions.
TEST(RendererTest, PixelsDoNotDependOnTheProcessorsInstructions) {
  const auto pixels = [](bool optimized, uint64_t seed) {
    cv::setUseOptimized(optimized);
    Rng rng(seed);
    const Scene scene = generate_scene(rng, varied_scene_options(rng, 193, 161, 1, 6));
    Style style = random_style(rng);
    style.texture = 12;
    style.blur = 0.7f;
    style.jpeg_quality = 0;
    std::vector<uint8_t> all = render(scene, style, rng).pixels;
    for (int type = 0; type < kNumNonScenes; ++type) {
      const Image image = render_non_scene(rng, static_cast<NonScene>(type), 131, 97);
      all.insert(all.end(), image.pixels.begin(), image.pixels.end());
    }
    cv::setUseOptimized(true);
    return all;
  };
  for (uint64_t seed = 0; seed < 5; ++seed) EXPECT_EQ(pixels(false, seed), pixels(true, seed)) << seed;
}

TEST(RendererTest, DrawingStartsNoThreads) { EXPECT_EQ(cv::getNumThreads(), 1); }

TEST(RendererTest, PostProcessingTakesTheSmallestImages) {
  Rng rng(9);
  for (const auto& [width, height] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
    Image image = filled(width, height, {1, 2, 3});
    blur(image, 1);
    EXPECT_EQ(image.pixels, filled(width, height, {1, 2, 3}).pixels);
    add_noise(image, 5, rng);
    EXPECT_EQ(jpeg_round_trip(image, 80, true).pixels.size(), image.pixels.size());
  }
}

}  // namespace
}  // namespace sf::data
