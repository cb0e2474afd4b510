#include "trainer/tasks/sort_of_clevr/canvas.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sf::data {
namespace {

double painted(const Image& image) {  // white ink on black: area in pixels
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) sum += image.pixels[i] / 255.0;
  return sum;
}

constexpr Rgb kWhite{255, 255, 255};

TEST(CanvasTest, AreasAreThoseOfGeometry) {
  for (const bool antialias : {true, false}) {
    Image disc = filled(60, 60, {}), ring = disc, box = disc, triangle = disc, pie = disc;
    Canvas(disc, antialias).disc(30, 30, 20, kWhite);
    Canvas(ring, antialias).ring(30, 30, 20, 10, kWhite);
    Canvas(box, antialias).box(30, 30, 20, 5, 0.4f, kWhite);
    Canvas(triangle, antialias).polygon({{10, 10}, {50, 10}, {10, 50}}, kWhite);
    Canvas(pie, antialias).pie(30, 30, 20, 0, static_cast<float>(M_PI) / 2, kWhite);
    EXPECT_NEAR(painted(disc), M_PI * 400, 14);
    EXPECT_NEAR(painted(ring), M_PI * 300, 14);
    EXPECT_NEAR(painted(box), 400, 14);
    EXPECT_NEAR(painted(triangle), 800, 25);
    EXPECT_NEAR(painted(pie), M_PI * 100, 14);
  }
}

TEST(CanvasTest, AShapeMovesByLessThanAPixel) {
  const auto centre = [](float x) {
    Image image = filled(40, 40, {});
    Canvas(image, true).box(x, 20, 5, 5, 0, kWhite);
    double sum = 0;
    for (int i = 0; i < 40 * 40; ++i) sum += image.pixels[static_cast<size_t>(i) * 3] * (i % 40 + 0.5);
    return sum / 255 / painted(image);
  };
  for (const float x : {20.f, 20.25f, 20.5f, 20.8f}) EXPECT_NEAR(centre(x), x, 0.1);
}

TEST(CanvasTest, WordsKeepTheirStrideAndStayInTheirHeight) {
  for (const bool antialias : {true, false}) {
    Image image = filled(100, 40, {});
    EXPECT_EQ(Canvas(image, antialias).word("A0Z", 10, 10, 4, kWhite), 58);
    EXPECT_GT(painted(image), 100);
    for (int x = 0; x < 100; ++x) {
      EXPECT_EQ(image.pixels[(size_t{7} * 100 + x) * 3], 0) << x;   // above
      EXPECT_EQ(image.pixels[(size_t{32} * 100 + x) * 3], 0) << x;  // below
    }
  }
}

TEST(CanvasTest, ShapesMayReachOutside) {
  Image image = filled(20, 20, {});
  Canvas canvas(image, true);
  canvas.disc(-5, -5, 10, kWhite);
  canvas.disc(100, 100, 3, kWhite);
  canvas.line({-50, 10}, {70, 10}, 2, kWhite);
  canvas.polygon({{-10, 15}, {30, 15}, {30, 300}}, kWhite);
  canvas.polygon({{1, 1}, {2, 2}}, kWhite);  // no area: nothing
  EXPECT_GT(painted(image), 40);
}

TEST(CanvasTest, HsvHitsTheCornersOfTheCube) {
  EXPECT_EQ(hsv(0, 1, 1), (Rgb{255, 0, 0}));
  EXPECT_EQ(hsv(120, 1, 1), (Rgb{0, 255, 0}));
  EXPECT_EQ(hsv(240, 1, 1), (Rgb{0, 0, 255}));
  EXPECT_EQ(hsv(-60, 1, 1), (Rgb{255, 0, 255}));
  EXPECT_EQ(hsv(420, 1, 1), (Rgb{255, 255, 0}));
  EXPECT_EQ(hsv(77, 0, 1), kWhite);
}

TEST(CanvasTest, DistanceToASegmentIsToItsNearestMixture) {
  EXPECT_FLOAT_EQ(distance_to_segment({50, 10, 0}, {0, 0, 0}, {100, 0, 0}), 10);
  EXPECT_FLOAT_EQ(distance_to_segment({130, 40, 0}, {0, 0, 0}, {100, 0, 0}), 50);
  EXPECT_FLOAT_EQ(distance({3, 4, 0}, {0, 0, 0}), 5);
}

}  // namespace
}  // namespace sf::data
