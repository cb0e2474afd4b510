#include "tests/support/second_renderer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace sf::test {
namespace {

std::array<int, 3> at(const Image& image, double x, double y) {
  const size_t i = (static_cast<size_t>(y) * image.width + static_cast<size_t>(x)) * 3;
  return {image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]};
}

double apart(const std::array<int, 3>& a, const std::array<int, 3>& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

// The held-out evaluation is only as true as its images: sizes, places and contrast are what the scene says.
TEST(SecondRendererTest, DrawsWhatTheSceneSays) {
  data::Rng rng(1);
  for (int round = 0; round < 150; ++round) {
    const HeldOut held_out = draw_held_out(rng, 1, 6);
    const data::Scene& scene = held_out.scene;
    const int short_side = std::min(scene.width, scene.height);
    ASSERT_EQ(held_out.image.width, scene.width);
    ASSERT_EQ(held_out.image.height, scene.height);
    EXPECT_GE(short_side, 64);
    EXPECT_LE(std::max(scene.width, scene.height), 2 * short_side + 1);
    for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
      const data::Object& object = scene.objects[i];
      EXPECT_GE(object.half, 4);
      EXPECT_GE(2 * object.half * 16, static_cast<float>(short_side) - 32);
      EXPECT_NE(object.x * 2, static_cast<float>(scene.width));
      EXPECT_NE(object.y * 2, static_cast<float>(scene.height));
      const auto inside = at(held_out.image, object.x, object.y);
      // A square's corner has the object's colour, a circle's has the background's.
      if (object.half < 8) continue;  // too few pixels for this
      const double d = object.half * 0.9;
      const auto corner = at(held_out.image, object.x + d - 0.5, object.y + d - 0.5);
      EXPECT_EQ(apart(inside, corner) < 36, object.shape == data::kSquare);
    }
  }
}

TEST(SecondRendererTest, NonScenesAreDrawnAtEverySizeAndFormat) {
  data::Rng rng(2);
  for (int kind = 0; kind < kNumHeldOutNonScenes; ++kind) {
    const Image image = draw_held_out_non_scene(rng, kind, 70, 41);
    EXPECT_EQ(image.pixels.size(), 70u * 41 * 3);
    const Image back = decode_image(encode_somehow(rng, image));
    EXPECT_EQ(back.width, 70);
    EXPECT_EQ(back.height, 41);
  }
}

TEST(SecondRendererTest, EqualSeedsGiveEqualImages) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    data::Rng a(seed), b(seed);
    EXPECT_EQ(draw_held_out(a, 6, 6).image.pixels, draw_held_out(b, 6, 6).image.pixels);
    EXPECT_EQ(draw_held_out_non_scene(a).pixels, draw_held_out_non_scene(b).pixels);
  }
}

}  // namespace
}  // namespace sf::test
