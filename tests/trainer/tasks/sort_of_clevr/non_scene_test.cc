#include "trainer/tasks/sort_of_clevr/non_scene.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sf::data {
namespace {

TEST(NonSceneTest, EveryTypeDrawsAtEverySize) {
  Rng rng(1);
  for (int type = 0; type < kNumNonScenes; ++type) {
    for (const auto& [width, height] : {std::pair{16, 16}, {16, 40}, {192, 192}, {201, 97}}) {
      const Image image = render_non_scene(rng, static_cast<NonScene>(type), width, height);
      EXPECT_EQ(image.width, width);
      EXPECT_EQ(image.height, height);
      EXPECT_EQ(image.pixels.size(), size_t(width) * height * 3);
    }
  }
}

TEST(NonSceneTest, AllButFlatOnesHaveSomethingInThem) {
  Rng rng(2);
  for (int type = 1; type < kNumNonScenes; ++type) {
    const Image image = render_non_scene(rng, static_cast<NonScene>(type), 160, 160);
    const auto [low, high] = std::minmax_element(image.pixels.begin(), image.pixels.end());
    EXPECT_GT(*high - *low, 10) << "type " << type;
  }
}

TEST(NonSceneTest, EqualSeedsGiveEqualImages) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng a(seed), b(seed);
    EXPECT_EQ(render_non_scene(a).pixels, render_non_scene(b).pixels);
  }
}

}  // namespace
}  // namespace sf::data
