#include "trainer/tasks/sort_of_clevr/non_scene.h"

#include <algorithm>
#include <cmath>

#include "trainer/tasks/sort_of_clevr/non_scene_sheet.h"
#include "trainer/tasks/sort_of_clevr/opencv_image.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {

Rgb any_colour(Rng& rng) {
  if (rng.chance(0.6f)) return random_shade(rng, static_cast<Colour>(rng.below(kNumColours)));
  return random_rgb(rng);
}

Rgb visible(Rng& rng, Rgb ground) {
  Rgb colour = any_colour(rng);
  for (int i = 0; i < 8 && distance(colour, ground) < 60; ++i) colour = any_colour(rng);
  return colour;
}

Point any_point(Sheet& sheet) {
  const float x = sheet.rng.uniform(0, sheet.width);
  return {x, sheet.rng.uniform(0, sheet.height)};
}

namespace {

constexpr float kTurn = 6.2831853f;

Rgb any_ground(Rng& rng) {
  const float u = rng.uniform();
  if (u < 0.4f) return {255, 255, 255};
  if (u < 0.55f) return {0, 0, 0};
  if (u < 0.8f) return hsv(rng.uniform(0, 360), rng.uniform(0, 0.3f), rng.uniform(0.1f, 1));
  return any_colour(rng);
}

void noise(Sheet& s) {
  const bool grey = s.rng.chance(0.3f);
  const float density = s.rng.chance(0.5f) ? 1.f : s.rng.uniform(0.05f, 0.9f);
  for (size_t i = 0; i < s.image.pixels.size(); i += 3) {
    if (density < 1 && !s.rng.chance(density)) continue;
    const Rgb c = random_rgb(s.rng);
    s.image.pixels[i] = c.r, s.image.pixels[i + 1] = grey ? c.r : c.g, s.image.pixels[i + 2] = grey ? c.r : c.b;
  }
}

void smooth_noise(Sheet& s) {
  const int cells = s.rng.range(2, 14);
  cv::Mat3b small(cells, cells);
  for (cv::Vec3b& pixel : small) {
    for (int c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(s.rng.below(256));
  }
  if (s.rng.chance(0.3f)) {  // grey
    for (cv::Vec3b& pixel : small) pixel = cv::Vec3b::all(pixel[0]);
  }
  const float steps = static_cast<float>(cells - 1);
  interpolate(small, {s.width / steps, s.height / steps}, {s.image.width, s.image.height}).copyTo(pixels_of(s.image));
}

void blocks(Sheet& s) {
  Canvas canvas(s.image, false);
  const int columns = s.rng.range(2, 16), rows = s.rng.range(2, 16);
  const float w = s.width / static_cast<float>(columns), h = s.height / static_cast<float>(rows);
  for (int i = 0; i < rows * columns; ++i) {
    canvas.box((static_cast<float>(i % columns) + 0.5f) * w, (static_cast<float>(i / columns) + 0.5f) * h, w / 2 + 1,
               h / 2 + 1, 0, any_colour(s.rng));
  }
}

void gradient(Sheet& s) {
  Style style;
  style.ground = s.rng.chance(0.7f) ? Style::Ground::kLinear : Style::Ground::kRadial;
  style.background = any_colour(s.rng);
  style.background2 = visible(s.rng, style.background);
  style.ground_angle = s.rng.uniform(0, kTurn);
  s.image = render(Scene{s.image.width, s.image.height, {}}, style, s.rng);
}

void blurred_shapes(Sheet& s) {
  const float spread = s.short_side * s.rng.uniform(0.06f, 0.16f);
  for (int shapes = s.rng.range(1, 8); shapes > 0; --shapes) {
    const Point p = any_point(s);
    const Rgb colour = visible(s.rng, s.ground);
    const float radius = s.short_side * s.rng.uniform(0.05f, 0.2f);
    const int x0 = std::max(0, static_cast<int>(p.x - radius - 3 * spread)),
              x1 = std::min(s.image.width, static_cast<int>(p.x + radius + 3 * spread));
    const int y0 = std::max(0, static_cast<int>(p.y - radius - 3 * spread)),
              y1 = std::min(s.image.height, static_cast<int>(p.y + radius + 3 * spread));
    for (int py = y0; py < y1; ++py) {
      for (int px = x0; px < x1; ++px) {
        const float dx = static_cast<float>(px) - p.x, dy = static_cast<float>(py) - p.y;
        const float edge = (std::sqrt(dx * dx + dy * dy) - radius) / spread;
        const float weight = 1 / (1 + std::exp(2 * edge));
        uint8_t* pixel = &s.image.pixels[(static_cast<size_t>(py) * s.image.width + px) * 3];
        const Rgb mixed = mix({pixel[0], pixel[1], pixel[2]}, colour, weight);
        pixel[0] = mixed.r, pixel[1] = mixed.g, pixel[2] = mixed.b;
      }
    }
  }
}

void blobs(Sheet& s) {  // a landscape of soft bands and lumps, as a photograph has
  smooth_noise(s);
  Canvas canvas(s.image, true);
  for (int lumps = s.rng.range(1, 6); lumps > 0; --lumps) {
    const Point centre = any_point(s);
    const float radius = s.short_side * s.rng.uniform(0.08f, 0.4f);
    std::vector<Point> corners;
    for (int i = 0; i < 14; ++i) {
      const float angle = kTurn * static_cast<float>(i) / 14, reach = radius * s.rng.uniform(0.5f, 1);
      corners.push_back({centre.x + reach * std::cos(angle), centre.y + reach * std::sin(angle)});
    }
    canvas.polygon(corners, hsv(s.rng.uniform(0, 360), s.rng.uniform(0.1f, 0.7f), s.rng.uniform(0.1f, 0.9f)));
  }
  for (int i = s.rng.range(0, 5); i > 0; --i) blur(s.image, 1);
}

void stripes(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const float step = s.short_side * s.rng.uniform(0.04f, 0.3f),
              angle = s.rng.chance(0.6f) ? (s.rng.chance(0.5f) ? 0 : kTurn / 4) : s.rng.uniform(0, kTurn);
  const bool many = s.rng.chance(0.4f);
  const Rgb one = visible(s.rng, s.ground);
  const float reach = s.width + s.height;
  for (float at = -reach; at < reach; at += step) {
    canvas.box(s.width / 2 + at * std::cos(angle), s.height / 2 + at * std::sin(angle),
               step * s.rng.uniform(0.2f, 0.3f), reach, angle, many ? visible(s.rng, s.ground) : one);
  }
}

void checkerboard(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const float cell = s.short_side * s.rng.uniform(0.06f, 0.4f);
  const Rgb ink = visible(s.rng, s.ground);
  const bool discs = s.rng.chance(0.3f), dense = s.rng.chance(0.3f);
  for (int row = 0; static_cast<float>(row) * cell < s.height; ++row) {
    for (int column = 0; static_cast<float>(column) * cell < s.width; ++column) {
      if (!dense && (row + column) % 2 != 0) continue;
      const float x = (static_cast<float>(column) + 0.5f) * cell, y = (static_cast<float>(row) + 0.5f) * cell;
      if (discs || dense)
        canvas.disc(x, y, cell * 0.35f, ink);
      else
        canvas.box(x, y, cell / 2, cell / 2, 0, ink);
    }
  }
}

void confetti(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  for (int i = s.rng.range(25, 250); i > 0; --i) {
    const Point p = any_point(s);
    const float size = std::max(1.f, s.short_side * s.rng.uniform(0.006f, 0.035f));
    if (s.rng.chance(0.5f))
      canvas.disc(p.x, p.y, size, visible(s.rng, s.ground));
    else
      canvas.box(p.x, p.y, size, size, s.rng.uniform(0, kTurn), visible(s.rng, s.ground));
  }
}

void polygon_at(Sheet& s, Canvas& canvas, Point centre, float radius) {
  const bool star = s.rng.chance(0.4f);
  const int corners = star ? s.rng.range(4, 8) * 2 : (s.rng.chance(0.7f) ? 3 : s.rng.range(5, 6));
  const float start = s.rng.uniform(0, kTurn), waist = s.rng.uniform(0.3f, 0.6f);
  std::vector<Point> points;
  for (int i = 0; i < corners; ++i) {
    const float angle = start + kTurn * static_cast<float>(i) / static_cast<float>(corners);
    const float reach = star && i % 2 == 1 ? radius * waist : radius;
    points.push_back({centre.x + reach * std::cos(angle), centre.y + reach * std::sin(angle)});
  }
  canvas.polygon(points, visible(s.rng, s.ground));
}

void polygons(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  for (int i = s.rng.range(1, 9); i > 0; --i) {
    polygon_at(s, canvas, any_point(s), std::max(5.f, s.short_side * s.rng.uniform(0.07f, 0.3f)));
  }
}

void scribble(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  for (int strokes = s.rng.range(1, 6); strokes > 0; --strokes) {
    const Rgb colour = visible(s.rng, s.ground);
    const float width = std::max(1.f, s.short_side * s.rng.uniform(0.006f, 0.04f));
    Point at = any_point(s);
    float angle = s.rng.uniform(0, kTurn);
    for (int i = s.rng.range(1, 25); i > 0; --i) {
      angle += s.rng.normal() * 0.6f;
      const float length = s.short_side * s.rng.uniform(0.03f, 0.25f);
      const Point to{at.x + length * std::cos(angle), at.y + length * std::sin(angle)};
      canvas.line(at, to, width, colour);
      at = to;
    }
  }
}

void rings(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const bool concentric = s.rng.chance(0.4f);
  const Point middle = any_point(s);
  for (int i = s.rng.range(2, 8); i > 0; --i) {
    const Point p = concentric ? middle : any_point(s);
    const float outer = s.short_side * s.rng.uniform(0.06f, 0.5f);
    canvas.ring(p.x, p.y, outer, outer - std::max(1.5f, s.short_side * s.rng.uniform(0.01f, 0.03f)),
                visible(s.rng, s.ground));
  }
}

void drawing(Sheet& s) {  // a house, a tree, a sun, a ground line: child's image with polygons in it
  Canvas canvas(s.image, s.antialias);
  const float horizon = s.height * s.rng.uniform(0.55f, 0.85f);
  canvas.box(s.width / 2, (horizon + s.height) / 2, s.width / 2 + 1, (s.height - horizon) / 2 + 1, 0,
             visible(s.rng, s.ground));
  for (int houses = s.rng.range(1, 3); houses > 0; --houses) {
    const float half = s.short_side * s.rng.uniform(0.08f, 0.2f), x = s.rng.uniform(half, s.width - half);
    canvas.box(x, horizon - half * 0.7f, half, half * 0.8f, 0, visible(s.rng, s.ground));
    canvas.polygon({{x - half * 1.2f, horizon - half * 1.5f},
                    {x + half * 1.2f, horizon - half * 1.5f},
                    {x, horizon - half * 2.5f}},
                   visible(s.rng, s.ground));
    canvas.box(x, horizon - half * 0.3f, half * 0.2f, half * 0.4f, 0, visible(s.rng, s.ground));
  }
  for (int i = s.rng.range(0, 2); i > 0; --i) polygon_at(s, canvas, any_point(s), s.short_side * 0.12f);
}

}  // namespace

Image render_non_scene(Rng& rng, NonScene type, int width, int height) {
  const float w = static_cast<float>(width), h = static_cast<float>(height);
  const Rgb ground = any_ground(rng);
  Sheet s{filled(width, height, ground), rng, w, h, std::min(w, h), ground, rng.chance(0.7f)};
  switch (type) {
    case NonScene::kFlat:
      break;
    case NonScene::kNoise:
      noise(s);
      break;
    case NonScene::kSmoothNoise:
      smooth_noise(s);
      break;
    case NonScene::kBlocks:
      blocks(s);
      break;
    case NonScene::kGradient:
      gradient(s);
      break;
    case NonScene::kText:
      paint_text(s);
      break;
    case NonScene::kBarChart:
      paint_bar_chart(s);
      break;
    case NonScene::kLineChart:
      paint_line_chart(s);
      break;
    case NonScene::kPieChart:
      paint_pie_chart(s);
      break;
    case NonScene::kBlurredShapes:
      blurred_shapes(s);
      break;
    case NonScene::kBlobs:
      blobs(s);
      break;
    case NonScene::kStripes:
      stripes(s);
      break;
    case NonScene::kCheckerboard:
      checkerboard(s);
      break;
    case NonScene::kConfetti:
      confetti(s);
      break;
    case NonScene::kPolygons:
      polygons(s);
      break;
    case NonScene::kScribble:
      scribble(s);
      break;
    case NonScene::kRings:
      rings(s);
      break;
    case NonScene::kDrawing:
      drawing(s);
      break;
  }
  if (rng.chance(0.15f)) blur(s.image, rng.uniform(0.3f, 1));
  if (rng.chance(0.25f)) add_noise(s.image, rng.uniform(2, 26), rng);
  if (rng.chance(0.2f)) return jpeg_round_trip(s.image, rng.range(45, 96), rng.chance(0.6f));
  return std::move(s.image);
}

Image render_non_scene(Rng& rng, int width, int height) {
  return render_non_scene(rng, static_cast<NonScene>(rng.below(kNumNonScenes)), width, height);
}

Image render_non_scene(Rng& rng) {
  int width = 0, height = 0;
  draw_size(rng, rng.chance(0.5f) ? 1.f : rng.uniform(0.5f, 2), width, height);
  return render_non_scene(rng, width, height);
}

}  // namespace sf::data
