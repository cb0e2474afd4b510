#include "trainer/tasks/sort_of_clevr/scene.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/error.h"

namespace sf::data {
namespace {

constexpr int kTriesPerObject = 60;
constexpr int kRestarts = 40;
constexpr float kGapPx = 0.5f;          // between two objects' edges
constexpr float kMaxTurn = 0.2617994f;  // 15 degrees
constexpr float kPaperSide = 75;

float squared_distance(const Object& a, const Object& b) {
  return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y);
}

// A turned square counts as the axis-parallel box around it, so this errs on the side of "too close".
bool too_close(const Object& a, const Object& b, float min_distance) {
  if (squared_distance(a, b) < min_distance * min_distance) return true;
  const float dx = std::abs(a.x - b.x), dy = std::abs(a.y - b.y);
  if (a.shape == kCircle && b.shape == kCircle) {
    const float reach = a.half + b.half + kGapPx;
    return squared_distance(a, b) < reach * reach;
  }
  if (a.shape == kSquare && b.shape == kSquare) {
    return std::max(dx, dy) < half_extent(a) + half_extent(b) + kGapPx;
  }
  const Object& square = a.shape == kSquare ? a : b;
  const float radius = (a.shape == kCircle ? a : b).half + kGapPx;
  const float outside_x = std::max(0.f, dx - half_extent(square));
  const float outside_y = std::max(0.f, dy - half_extent(square));
  return outside_x * outside_x + outside_y * outside_y < radius * radius;
}

// Effect: gives `object` a place, or false after kTriesPerObject draws.
bool place(Rng& rng, const Scene& scene, const SceneOptions& options, float short_side, Object& object) {
  const float extent = half_extent(object);
  const float width = static_cast<float>(scene.width), height = static_cast<float>(scene.height);
  const float margin = options.centre_margin * short_side;
  if (2 * extent > std::min(width, height)) return false;
  for (int attempt = 0; attempt < kTriesPerObject; ++attempt) {
    object.x = rng.uniform(extent, width - extent);
    object.y = rng.uniform(extent, height - extent);
    if (std::abs(object.x - width / 2) < margin || std::abs(object.y - height / 2) < margin) continue;
    const bool free = std::none_of(scene.objects.begin(), scene.objects.end(), [&](const Object& other) {
      return too_close(object, other, options.min_distance * short_side);
    });
    if (free) return true;
  }
  return false;
}

template <typename Better>
int best_other(const Scene& scene, int object, const Better& better) {
  int best = -1;
  float best_distance = 0;
  for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
    if (i == object) continue;
    const float d = squared_distance(scene.objects[object], scene.objects[i]);
    if (best < 0 || better(d, best_distance)) best = i, best_distance = d;
  }
  return best;
}

float to_paper_pixels(const Scene& scene, float pixels) {
  return pixels * kPaperSide / static_cast<float>(std::min(scene.width, scene.height));
}

// The gap between the best candidate and the next one.
float candidate_margin(const Scene& scene, int object, int best) {
  if (best < 0 || scene.objects.size() < 3) return kNoMargin;
  const float best_distance = std::sqrt(squared_distance(scene.objects[object], scene.objects[best]));
  float margin = kNoMargin;
  for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
    if (i == object || i == best) continue;
    const float d = std::sqrt(squared_distance(scene.objects[object], scene.objects[i]));
    margin = std::min(margin, std::abs(d - best_distance));
  }
  return to_paper_pixels(scene, margin);
}

}  // namespace

std::string_view colour_word(Colour colour) {
  static constexpr std::array<std::string_view, kNumColours> kWords = {"red",    "green", "blue",
                                                                       "orange", "grey",  "yellow"};
  return kWords[colour];
}

std::string_view shape_word(Shape shape) { return shape == kCircle ? "circle" : "square"; }

float half_extent(const Object& object) {
  if (object.shape == kCircle || object.angle == 0) return object.half;
  return object.half * (std::abs(std::cos(object.angle)) + std::abs(std::sin(object.angle)));
}

Scene generate_scene(Rng& rng, const SceneOptions& options) {
  SF_REQUIRE(
      options.min_objects >= 1 && options.min_objects <= options.max_objects && options.max_objects <= kNumColours,
      "scene: 1 <= min_objects <= max_objects <= 6, got ", options.min_objects, " and ", options.max_objects);
  SF_REQUIRE(options.width >= 16 && options.height >= 16, "scene: the picture is too small: ", options.width, " x ",
             options.height);
  const float short_side = static_cast<float>(std::min(options.width, options.height));
  const int count = rng.range(options.min_objects, options.max_objects);
  const bool mixed = rng.chance(options.mixed_sizes);
  const bool turned = rng.chance(options.turned_squares);
  const float common_half = rng.uniform(options.min_half, options.max_half);
  std::array<Colour, kNumColours> colours = {kRed, kGreen, kBlue, kOrange, kGrey, kYellow};
  rng.shuffle(colours);

  std::vector<Object> objects(count);
  for (int i = 0; i < count; ++i) {
    Object& object = objects[i];
    object.colour = colours[i];
    object.shape = rng.chance(0.5f) ? kCircle : kSquare;
    const float half = mixed ? rng.uniform(options.min_half, options.max_half) : common_half;
    object.half = std::max(options.min_half_px, half * short_side);
    if (turned && object.shape == kSquare) object.angle = rng.uniform(-kMaxTurn, kMaxTurn);
  }
  Scene best{options.width, options.height, {}};
  for (int restart = 0; restart < kRestarts; ++restart) {
    Scene scene{options.width, options.height, {}};
    for (Object object : objects) {
      if (!place(rng, scene, options, short_side, object)) break;
      scene.objects.push_back(object);
    }
    if (scene.objects.size() > best.objects.size()) best = std::move(scene);
    if (static_cast<int>(best.objects.size()) == count) break;
  }
  SF_REQUIRE(!best.objects.empty(), "scene: no room for an object in ", options.width, " x ", options.height);
  return best;
}

bool left_of_centre(const Scene& scene, int object) {
  return scene.objects[object].x < static_cast<float>(scene.width) / 2;
}

bool in_top_half(const Scene& scene, int object) {
  return scene.objects[object].y < static_cast<float>(scene.height) / 2;
}

int nearest(const Scene& scene, int object) {
  return best_other(scene, object, [](float a, float b) { return a < b; });
}

int furthest(const Scene& scene, int object) {
  return best_other(scene, object, [](float a, float b) { return a > b; });
}

int same_shape_count(const Scene& scene, int object) {
  const Shape shape = scene.objects[object].shape;
  return static_cast<int>(std::count_if(scene.objects.begin(), scene.objects.end(),
                                        [shape](const Object& other) { return other.shape == shape; }));
}

int find_colour(const Scene& scene, Colour colour) {
  for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
    if (scene.objects[i].colour == colour) return i;
  }
  return -1;
}

float left_right_margin(const Scene& scene, int object) {
  return to_paper_pixels(scene, std::abs(scene.objects[object].x - static_cast<float>(scene.width) / 2));
}

float top_bottom_margin(const Scene& scene, int object) {
  return to_paper_pixels(scene, std::abs(scene.objects[object].y - static_cast<float>(scene.height) / 2));
}

float nearest_margin(const Scene& scene, int object) { return candidate_margin(scene, object, nearest(scene, object)); }

float furthest_margin(const Scene& scene, int object) {
  return candidate_margin(scene, object, furthest(scene, object));
}

}  // namespace sf::data
