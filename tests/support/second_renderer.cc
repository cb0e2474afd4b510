#include "tests/support/second_renderer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/support/encode_image.h"
#include "trainer/data/image_file.h"

namespace sf::test {
namespace {

using Colour3 = std::array<int, 3>;
using Palette = std::array<Colour3, data::kNumColours>;  // red green blue orange grey yellow

constexpr std::array<Palette, 7> kPalettes = {{
    {{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 165, 0}, {128, 128, 128}, {255, 255, 0}}},
    {{{229, 57, 53}, {67, 160, 71}, {30, 136, 229}, {251, 140, 0}, {117, 117, 117}, {253, 216, 53}}},
    {{{214, 39, 40}, {44, 160, 44}, {31, 119, 180}, {255, 127, 14}, {127, 127, 127}, {255, 221, 0}}},
    {{{178, 34, 34}, {34, 139, 34}, {65, 105, 225}, {255, 140, 0}, {169, 169, 169}, {255, 215, 0}}},
    {{{204, 0, 0}, {0, 102, 0}, {0, 0, 128}, {255, 153, 51}, {85, 85, 85}, {255, 255, 102}}},
    {{{255, 99, 71}, {50, 205, 50}, {30, 144, 255}, {255, 130, 30}, {192, 192, 192}, {255, 250, 80}}},
    {{{192, 57, 43}, {39, 174, 96}, {41, 128, 185}, {243, 156, 18}, {127, 140, 141}, {241, 224, 15}}},
}};

constexpr std::array<Colour3, 22> kGrounds = {{
    {255, 255, 255}, {255, 255, 255}, {255, 255, 255}, {255, 255, 255}, {255, 255, 255}, {250, 250, 245},
    {245, 245, 220}, {240, 248, 255}, {0, 0, 0},       {0, 0, 0},       {18, 18, 18},    {30, 30, 46},
    {25, 35, 60},    {40, 30, 30},    {255, 228, 225}, {224, 255, 255}, {230, 230, 250}, {60, 20, 70},
    {20, 70, 75},    {235, 235, 235}, {64, 64, 64},    {210, 180, 220},
}};

double apart(const Colour3& a, const Colour3& b) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) sum += double(a[c] - b[c]) * (a[c] - b[c]);
  return std::sqrt(sum);
}

constexpr double kVisible = 80;

// Pairs of palette and background of which no colour vanishes, found by drawing.
void draw_colours(data::Rng& rng, Palette& palette, Colour3& upper, Colour3& lower) {
  for (;;) {
    palette = rng.pick(kPalettes);
    upper = lower = rng.pick(kGrounds);
    if (rng.chance(0.15f)) lower = rng.pick(kGrounds);
    const bool clear = std::all_of(palette.begin(), palette.end(), [&](const Colour3& colour) {
      for (int i = 0; i <= 8; ++i) {
        Colour3 between;
        for (int c = 0; c < 3; ++c) between[c] = upper[c] + (lower[c] - upper[c]) * i / 8;
        if (apart(colour, between) < kVisible) return false;
      }
      return true;
    });
    if (clear) return;
  }
}

void set(Image& image, int x, int y, const Colour3& colour) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  uint8_t* pixel = &image.pixels[(static_cast<size_t>(y) * image.width + x) * 3];
  for (int c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(std::clamp(colour[c], 0, 255));
}

Image two_tone(int width, int height, const Colour3& upper, const Colour3& lower) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  for (int y = 0; y < height; ++y) {
    Colour3 row;
    for (int c = 0; c < 3; ++c) row[c] = upper[c] + (lower[c] - upper[c]) * y / std::max(1, height - 1);
    for (int x = 0; x < width; ++x) set(image, x, y, row);
  }
  return image;
}

// As simple drawing programs do: integer centre and radius, whole rows, no smoothing.
void draw_rows(Image& image, const data::Object& object, const Colour3& colour) {
  const int cx = static_cast<int>(object.x), cy = static_cast<int>(object.y), r = static_cast<int>(object.half);
  for (int dy = -r; dy < r; ++dy) {
    // Rows are taken at their middle, dy + 1/2.
    const double reach =
        object.shape == data::kSquare ? r : std::sqrt(std::max(0.0, double(r) * r - (dy + 0.5) * (dy + 0.5)));
    const int span = static_cast<int>(reach + 0.5);
    for (int x = cx - span; x < cx + span; ++x) set(image, x, cy + dy, colour);
  }
}

// Corners of the object's outline; a circle is a polygon of 96 sides.
std::vector<std::array<double, 2>> outline(const data::Object& object) {
  std::vector<std::array<double, 2>> corners;
  const int sides = object.shape == data::kSquare ? 4 : 96;
  for (int i = 0; i < sides; ++i) {
    const double angle = (i + 0.5) * 2 * M_PI / sides + object.angle;
    const double reach =
        object.shape == data::kSquare ? object.half * std::sqrt(2.0) : object.half / std::cos(M_PI / sides / 2);
    corners.push_back({object.x + reach * std::cos(angle), object.y + reach * std::sin(angle)});
  }
  return corners;
}

// Convex polygon by scanlines on a grid four times as fine, then a 4x4 box filter; `linear` averages light, not bytes.
void draw_supersampled(Image& image, const data::Object& object, const Colour3& colour, bool linear) {
  const auto corners = outline(object);
  const double extent = object.half * 1.5 + 1;
  const int x0 = std::max(0, static_cast<int>(object.x - extent)),
            x1 = std::min(image.width, static_cast<int>(object.x + extent) + 1);
  const int y0 = std::max(0, static_cast<int>(object.y - extent)),
            y1 = std::min(image.height, static_cast<int>(object.y + extent) + 1);
  std::vector<int> hits(static_cast<size_t>(std::max(0, x1 - x0)));
  for (int y = y0; y < y1; ++y) {
    std::fill(hits.begin(), hits.end(), 0);
    for (int fine = 0; fine < 4; ++fine) {
      const double line = y + (fine + 0.5) / 4;
      double left = 1e9, right = -1e9;
      for (size_t i = 0; i < corners.size(); ++i) {
        const auto& a = corners[i];
        const auto& b = corners[(i + 1) % corners.size()];
        if ((a[1] <= line) == (b[1] <= line)) continue;
        const double x = a[0] + (line - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
        left = std::min(left, x);
        right = std::max(right, x);
      }
      for (int x = x0; x < x1; ++x) {
        for (int sub = 0; sub < 4; ++sub)
          hits[x - x0] += x + (sub + 0.5) / 4 >= left && x + (sub + 0.5) / 4 < right ? 1 : 0;
      }
    }
    for (int x = x0; x < x1; ++x) {
      if (hits[x - x0] == 0) continue;
      const uint8_t* pixel = &image.pixels[(static_cast<size_t>(y) * image.width + x) * 3];
      Colour3 mixed;
      for (int c = 0; c < 3; ++c) {
        const double t = hits[x - x0] / 16.0, under = pixel[c], over = colour[c];
        mixed[c] = static_cast<int>(
            (linear ? std::sqrt(under * under * (1 - t) + over * over * t) : under * (1 - t) + over * t) + 0.5);
      }
      set(image, x, y, mixed);
    }
  }
}

// Integer centres and radii, kept off the middle lines; false where two objects came to touch.
bool snap(data::Scene& scene) {
  for (data::Object& object : scene.objects) {
    object.angle = 0;
    object.half = std::floor(object.half);
    object.x = std::round(object.x);
    object.y = std::round(object.y);
    if (object.x * 2 == static_cast<float>(scene.width)) object.x += 1;
    if (object.y * 2 == static_cast<float>(scene.height)) object.y += 1;
    object.x = std::clamp(object.x, object.half, static_cast<float>(scene.width) - object.half);
    object.y = std::clamp(object.y, object.half, static_cast<float>(scene.height) - object.half);
  }
  return std::none_of(scene.objects.begin(), scene.objects.end(), [&](const data::Object& a) {
    return std::any_of(scene.objects.begin(), scene.objects.end(), [&](const data::Object& b) {
      return &a != &b && std::max(std::abs(a.x - b.x), std::abs(a.y - b.y)) < a.half + b.half &&
             std::hypot(a.x - b.x, a.y - b.y) < 1.05f * (a.half + b.half);
    });
  });
}

void add_grain(Image& image, data::Rng& rng, int strength) {
  for (uint8_t& value : image.pixels)
    value = static_cast<uint8_t>(std::clamp(int{value} + rng.range(-strength, strength), 0, 255));
}

data::Scene draw_scene(data::Rng& rng, int min_objects, int max_objects) {
  constexpr std::array<float, 7> kAspects = {1, 1, 4.f / 3, 3.f / 4, 16.f / 9, 0.5f, 2};
  const float aspect = rng.pick(kAspects);
  const float u = rng.uniform();
  const int short_side = 64 + static_cast<int>(u * u * 636);
  data::SceneOptions options;
  options.min_objects = min_objects;
  options.max_objects = max_objects;
  options.width = static_cast<int>(static_cast<float>(short_side) * std::max(1.f, aspect));
  options.height = static_cast<int>(static_cast<float>(short_side) * std::max(1.f, 1 / aspect));
  options.min_half = options.max_half = rng.uniform(1.f / 31, 1.f / 10);
  if (rng.chance(0.3f)) {
    options.min_half = 1.f / 28;
    options.max_half = 1.f / 10;
    options.mixed_sizes = 1;
  }
  options.min_half_px = 5;  // 4 at least once snapped
  return data::generate_scene(rng, options);
}

}  // namespace

HeldOut draw_held_out(data::Rng& rng, int min_objects, int max_objects) {
  const bool rows = rng.chance(0.4f), linear = rng.chance(0.3f);
  HeldOut out;
  do {
    out.scene = draw_scene(rng, min_objects, max_objects);
  } while (static_cast<int>(out.scene.objects.size()) < min_objects || (rows && !snap(out.scene)));
  Palette palette;
  Colour3 upper, lower;
  draw_colours(rng, palette, upper, lower);
  out.image = two_tone(out.scene.width, out.scene.height, upper, lower);
  for (const data::Object& object : out.scene.objects) {
    if (rows)
      draw_rows(out.image, object, palette[object.colour]);
    else
      draw_supersampled(out.image, object, palette[object.colour], linear);
  }
  if (rng.chance(0.2f)) add_grain(out.image, rng, rng.range(2, 10));
  return out;
}

std::string encode_somehow(data::Rng& rng, const Image& image) {
  switch (rng.below(3)) {
    case 0:
      return data::encode_png(image);
    case 1:
      return encode_jpeg(image, rng.range(70, 95));
    default:
      return encode_webp(image, rng.chance(0.5f) ? 100 : rng.range(70, 95));
  }
}

}  // namespace sf::test
