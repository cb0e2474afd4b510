#include "trainer/tasks/sort_of_clevr/canvas.h"

#include <algorithm>
#include <cmath>

namespace sf::data {
namespace {

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.f, 255.f)); }

bool inside_even_odd(const std::vector<Point>& corners, float x, float y) {
  bool inside = false;
  for (size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Point& a = corners[i];
    const Point& b = corners[j];
    if ((a.y > y) != (b.y > y) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}

// Coverage of the pixel whose centre is (x, y) from a 4x4 grid of samples, or its centre alone.
template <typename Inside>
float sampled(float x, float y, bool antialias, const Inside& inside) {
  if (!antialias) return inside(x, y) ? 1.f : 0.f;
  int hits = 0;
  for (int i = 0; i < 16; ++i) {
    hits += inside(x + (static_cast<float>(i % 4) - 1.5f) / 4, y + (static_cast<float>(i / 4) - 1.5f) / 4) ? 1 : 0;
  }
  return static_cast<float>(hits) / 16;
}

}  // namespace

Rgb hsv(float hue, float saturation, float value) {
  const float sector = std::fmod(std::fmod(hue, 360.f) + 360.f, 360.f) / 60;
  const float chroma = value * saturation;
  const float second = chroma * (1 - std::abs(std::fmod(sector, 2.f) - 1));
  float r = 0, g = 0, b = 0;
  switch (static_cast<int>(sector)) {
    case 0:
      r = chroma, g = second;
      break;
    case 1:
      r = second, g = chroma;
      break;
    case 2:
      g = chroma, b = second;
      break;
    case 3:
      g = second, b = chroma;
      break;
    case 4:
      r = second, b = chroma;
      break;
    default:
      r = chroma, b = second;
      break;
  }
  const float low = value - chroma;
  return {to_byte((r + low) * 255), to_byte((g + low) * 255), to_byte((b + low) * 255)};
}

Rgb mix(Rgb a, Rgb b, float weight_of_b) {
  const auto channel = [&](uint8_t x, uint8_t y) {
    return to_byte(static_cast<float>(x) + (static_cast<float>(y) - static_cast<float>(x)) * weight_of_b);
  };
  return {channel(a.r, b.r), channel(a.g, b.g), channel(a.b, b.b)};
}

Rgb random_rgb(Rng& rng) {
  const uint64_t bits = rng.next() >> 40;
  return {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits >> 16)};
}

float distance(Rgb a, Rgb b) { return distance_to_segment(a, b, b); }

float distance_to_segment(Rgb c, Rgb a, Rgb b) {
  const float ab[3] = {float(b.r) - float(a.r), float(b.g) - float(a.g), float(b.b) - float(a.b)};
  const float ac[3] = {float(c.r) - float(a.r), float(c.g) - float(a.g), float(c.b) - float(a.b)};
  const float length = ab[0] * ab[0] + ab[1] * ab[1] + ab[2] * ab[2];
  const float along = ab[0] * ac[0] + ab[1] * ac[1] + ab[2] * ac[2];
  const float t = length > 0 ? std::clamp(along / length, 0.f, 1.f) : 0.f;
  float sum = 0;
  for (int i = 0; i < 3; ++i) sum += (ac[i] - t * ab[i]) * (ac[i] - t * ab[i]);
  return std::sqrt(sum);
}

Image filled(int width, int height, Rgb colour) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    image.pixels[i] = colour.r, image.pixels[i + 1] = colour.g, image.pixels[i + 2] = colour.b;
  }
  return image;
}

template <typename Coverage>
void Canvas::paint(float left, float top, float right, float bottom, Rgb colour, const Coverage& coverage) {
  const int x0 = std::clamp(static_cast<int>(std::floor(left)) - 1, 0, image_.width);
  const int y0 = std::clamp(static_cast<int>(std::floor(top)) - 1, 0, image_.height);
  const int x1 = std::clamp(static_cast<int>(std::ceil(right)) + 1, 0, image_.width);
  const int y1 = std::clamp(static_cast<int>(std::ceil(bottom)) + 1, 0, image_.height);
  for (int y = y0; y < y1; ++y) {
    uint8_t* pixel = &image_.pixels[(static_cast<size_t>(y) * image_.width + x0) * 3];
    for (int x = x0; x < x1; ++x, pixel += 3) {
      const float covered = coverage(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
      if (covered <= 0) continue;
      const Rgb mixed = covered >= 1 ? colour : mix({pixel[0], pixel[1], pixel[2]}, colour, covered);
      pixel[0] = mixed.r, pixel[1] = mixed.g, pixel[2] = mixed.b;
    }
  }
}

void Canvas::disc(float x, float y, float radius, Rgb colour) { ring(x, y, radius, -1, colour); }

void Canvas::ring(float x, float y, float outer, float inner, Rgb colour) {
  const float far = (outer + 1) * (outer + 1);
  paint(x - outer, y - outer, x + outer, y + outer, colour, [=, this](float px, float py) {
    const float d2 = (px - x) * (px - x) + (py - y) * (py - y);
    if (d2 > far) return 0.f;
    const float d = std::sqrt(d2);
    if (!antialias_) return d <= outer && d > inner ? 1.f : 0.f;
    return std::min(1.f, outer - d + 0.5f) * (inner < 0 ? 1.f : std::clamp(d - inner + 0.5f, 0.f, 1.f));
  });
}

void Canvas::box(float x, float y, float half_x, float half_y, float angle, Rgb colour) {
  const float c = std::cos(angle), s = std::sin(angle);
  const float reach_x = std::abs(c) * half_x + std::abs(s) * half_y;
  const float reach_y = std::abs(s) * half_x + std::abs(c) * half_y;
  paint(x - reach_x, y - reach_y, x + reach_x, y + reach_y, colour, [=, this](float px, float py) {
    const float u = std::abs(c * (px - x) + s * (py - y));
    const float v = std::abs(c * (py - y) - s * (px - x));
    if (!antialias_) return u <= half_x && v <= half_y ? 1.f : 0.f;
    return std::clamp(half_x - u + 0.5f, 0.f, 1.f) * std::clamp(half_y - v + 0.5f, 0.f, 1.f);
  });
}

void Canvas::polygon(const std::vector<Point>& corners, Rgb colour) {
  if (corners.size() < 3) return;
  Point low = corners[0], high = corners[0];
  for (const Point& p : corners) {
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  paint(low.x, low.y, high.x, high.y, colour, [&](float px, float py) {
    return sampled(px, py, antialias_, [&](float x, float y) { return inside_even_odd(corners, x, y); });
  });
}

void Canvas::line(Point a, Point b, float width, Rgb colour) {
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length = std::sqrt(dx * dx + dy * dy);
  box((a.x + b.x) / 2, (a.y + b.y) / 2, length / 2 + width / 2, width / 2, std::atan2(dy, dx), colour);
}

void Canvas::pie(float x, float y, float radius, float from, float to, Rgb colour) {
  constexpr float kTurn = 6.2831853f;
  paint(x - radius, y - radius, x + radius, y + radius, colour, [=, this](float px, float py) {
    return sampled(px, py, antialias_, [=](float sx, float sy) {
      const float dx = sx - x, dy = sy - y;
      if (dx * dx + dy * dy > radius * radius) return false;
      float angle = std::atan2(dy, dx);
      while (angle < from) angle += kTurn;
      return angle <= to;
    });
  });
}

}  // namespace sf::data
