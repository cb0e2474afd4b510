#include "trainer/tasks/sort_of_clevr/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {
namespace {

// A square turned by `angle`: whether (x, y) is inside it. The circle likewise.
bool contains(const Object& object, double x, double y) {
  const double dx = x - object.x, dy = y - object.y;
  if (object.shape == kCircle) return dx * dx + dy * dy <= double(object.half) * object.half;
  const double c = std::cos(object.angle), s = std::sin(object.angle);
  return std::abs(c * dx + s * dy) <= object.half && std::abs(c * dy - s * dx) <= object.half;
}

Scene line_of(std::initializer_list<float> xs) {
  Scene scene{100, 100, {}};
  int colour = 0;
  for (const float x : xs) {
    scene.objects.push_back({static_cast<Colour>(colour++), kCircle, x, 20, 4, 0});
  }
  return scene;
}

TEST(SceneTest, ObjectsLieInsideAndDoNotOverlap) {
  Rng rng(11);
  for (int round = 0; round < 300; ++round) {
    const int width = rng.range(64, 400), height = std::clamp(static_cast<int>(width * rng.uniform(0.5f, 2)), 64, 800);
    const Scene scene = generate_scene(rng, varied_scene_options(rng, width, height, 1, 6));
    for (size_t i = 0; i < scene.objects.size(); ++i) {
      const Object& a = scene.objects[i];
      const float extent = half_extent(a);
      ASSERT_GE(a.x - extent, -1e-3f);
      ASSERT_LE(a.x + extent, static_cast<float>(width) + 1e-3f);
      ASSERT_GE(a.y - extent, -1e-3f);
      ASSERT_LE(a.y + extent, static_cast<float>(height) + 1e-3f);
      for (int step = 0; step < 64; ++step) {  // no point of a's edge lies in another object
        const double angle = step * 2 * M_PI / 64;
        double x = a.half * std::cos(angle), y = a.half * std::sin(angle);
        if (a.shape == kSquare) {
          const double longest = std::max(std::abs(x), std::abs(y)) / a.half;
          const double u = x / longest, v = y / longest;
          x = std::cos(a.angle) * u - std::sin(a.angle) * v;
          y = std::sin(a.angle) * u + std::cos(a.angle) * v;
        }
        for (size_t j = 0; j < scene.objects.size(); ++j) {
          if (j == i) continue;
          ASSERT_FALSE(contains(scene.objects[j], a.x + x, a.y + y)) << "round " << round;
        }
      }
    }
  }
}

TEST(SceneTest, TheDefaultIsThePapersImage) {
  Rng rng(5);
  for (int round = 0; round < 200; ++round) {
    const Scene scene = generate_scene(rng, {});
    ASSERT_EQ(scene.objects.size(), 6u);
    std::set<int> colours;
    for (const Object& object : scene.objects) {
      colours.insert(object.colour);
      EXPECT_FLOAT_EQ(object.half, 5);
      EXPECT_GE(std::abs(object.x - 37.5f), 0.5f);
      EXPECT_GE(std::abs(object.y - 37.5f), 0.5f);
      for (const Object& other : scene.objects) {
        if (&other == &object) continue;
        EXPECT_GE(std::hypot(other.x - object.x, other.y - object.y), 9.999f);
      }
    }
    EXPECT_EQ(colours.size(), 6u);
  }
}

TEST(SceneTest, FactsMatchBruteForce) {
  Rng rng(6);
  for (int round = 0; round < 300; ++round) {
    const Scene scene = generate_scene(rng, {.min_objects = 1, .max_objects = 6});
    const int n = static_cast<int>(scene.objects.size());
    for (int i = 0; i < n; ++i) {
      const Object& me = scene.objects[i];
      EXPECT_EQ(left_of_centre(scene, i), me.x < 37.5);
      EXPECT_EQ(in_top_half(scene, i), me.y < 37.5);
      int near = -1, far = -1, same = 0;
      double near_distance = 1e9, far_distance = -1;
      for (int j = 0; j < n; ++j) {
        same += scene.objects[j].shape == me.shape ? 1 : 0;
        if (j == i) continue;
        const double d = std::hypot(double(scene.objects[j].x) - me.x, double(scene.objects[j].y) - me.y);
        if (d < near_distance) near_distance = d, near = j;
        if (d > far_distance) far_distance = d, far = j;
      }
      EXPECT_EQ(nearest(scene, i), near);
      EXPECT_EQ(furthest(scene, i), far);
      EXPECT_EQ(same_shape_count(scene, i), same);
    }
  }
}

TEST(SceneTest, NearestOfOneIsNobody) {
  const Scene scene = line_of({20});
  EXPECT_EQ(nearest(scene, 0), -1);
  EXPECT_EQ(furthest(scene, 0), -1);
  EXPECT_EQ(same_shape_count(scene, 0), 1);
  EXPECT_EQ(nearest_margin(scene, 0), kNoMargin);
}

TEST(SceneTest, NearestNeverIsTheObjectItself) {
  const Scene scene = line_of({10, 90});
  EXPECT_EQ(nearest(scene, 0), 1);
  EXPECT_EQ(furthest(scene, 0), 1);
  EXPECT_EQ(nearest_margin(scene, 0), kNoMargin);
}

TEST(SceneTest, MarginsAreInThePapersPixels) {
  const Scene scene = line_of({10, 30, 60});  // from the first: 20 and 50 pixels of 100, so 15 and 37.5 of 75
  EXPECT_NEAR(nearest_margin(scene, 0), 22.5, 1e-4);
  EXPECT_NEAR(furthest_margin(scene, 0), 22.5, 1e-4);
  EXPECT_NEAR(left_right_margin(scene, 0), 30, 1e-4);
  EXPECT_NEAR(top_bottom_margin(scene, 0), 22.5, 1e-4);
}

TEST(SceneTest, ShapesColoursAndNearTiesAreDistributedAsInThePaper) {
  Rng rng(8);
  int squares = 0, objects = 0, near_ties = 0;
  std::array<int, 6> count{};
  for (int round = 0; round < 4000; ++round) {
    const Scene scene = generate_scene(rng, {});
    for (int i = 0; i < 6; ++i, ++objects) {
      squares += scene.objects[i].shape == kSquare ? 1 : 0;
      near_ties += nearest_margin(scene, i) < 1 ? 1 : 0;
      ++count[same_shape_count(scene, i) - 1];
    }
  }
  EXPECT_NEAR(double(squares) / objects, 0.5, 0.015);
  EXPECT_NEAR(double(near_ties) / objects, 0.085, 0.02);  // 8.5 % in a simulation of the public generator
  EXPECT_NEAR(double(count[2]) / objects, 0.3125, 0.02);
  EXPECT_NEAR(double(count[3]) / objects, 0.3125, 0.02);
}

TEST(SceneTest, EqualSeedsGiveEqualScenes) {
  Rng a(9, 2), b(9, 2);
  const Scene x = generate_scene(a, {}), y = generate_scene(b, {});
  for (size_t i = 0; i < x.objects.size(); ++i) {
    EXPECT_EQ(x.objects[i].x, y.objects[i].x);
    EXPECT_EQ(x.objects[i].colour, y.objects[i].colour);
  }
}

TEST(SceneTest, RefusesImpossibleOptions) {
  Rng rng(1);
  EXPECT_THROW(generate_scene(rng, {.min_objects = 0}), Error);
  EXPECT_THROW(generate_scene(rng, {.min_objects = 3, .max_objects = 2}), Error);
  EXPECT_THROW(generate_scene(rng, {.max_objects = 7}), Error);
  EXPECT_THROW(generate_scene(rng, {.width = 8, .height = 75}), Error);
  EXPECT_THROW(generate_scene(rng, {.min_half = 0.6f, .max_half = 0.6f}), Error);
}

TEST(SceneTest, FewerObjectsComeBackWhereThereIsNoRoom) {
  Rng rng(1);
  const Scene scene = generate_scene(rng, {.min_half = 0.24f, .max_half = 0.24f});
  EXPECT_GE(scene.objects.size(), 1u);
  EXPECT_LT(scene.objects.size(), 6u);
}

}  // namespace
}  // namespace sf::data
