#include "trainer/tasks/sort_of_clevr/canvas.h"

#include <algorithm>
#include <cmath>

#include "trainer/tasks/sort_of_clevr/opencv_image.h"

namespace sf::data {
namespace {

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.f, 255.f)); }

using Contours = std::vector<std::vector<Point>>;

constexpr float kTurn = 6.2831853f;
constexpr int kFractionBits = 16;  // of OpenCV's coordinates

cv::Scalar scalar(Rgb colour) { return {double(colour.r), double(colour.g), double(colour.b)}; }

// Points along a circle, `to` left out; the chords stay within 1/30 pixel of the arc.
std::vector<Point> arc(float x, float y, float radius, float from, float to) {
  const int steps = std::max(2, static_cast<int>((to - from) * (1 + 2 * std::sqrt(std::max(radius, 0.f)))));
  std::vector<Point> points;
  for (int i = 0; i < steps; ++i) {
    const float angle = from + (to - from) * static_cast<float>(i) / static_cast<float>(steps);
    points.push_back({x + radius * std::cos(angle), y + radius * std::sin(angle)});
  }
  return points;
}

// The corners with every edge moved inwards by `by` pixels; at sharp corners the mitre is cut.
std::vector<Point> inset(const std::vector<Point>& corners, float by) {
  const size_t n = corners.size();
  float area = 0;
  for (size_t i = 0; i < n; ++i) {
    const Point a = corners[i], b = corners[(i + 1) % n];
    area += a.x * b.y - b.x * a.y;
  }
  const auto inward_normal = [&](Point a, Point b) {
    const float dx = b.x - a.x, dy = b.y - a.y, length = std::max(std::hypot(dx, dy), 1e-6f);
    return area > 0 ? Point{-dy / length, dx / length} : Point{dy / length, -dx / length};
  };
  std::vector<Point> moved;
  for (size_t i = 0; i < n; ++i) {
    const Point p = inward_normal(corners[(i + n - 1) % n], corners[i]);
    const Point q = inward_normal(corners[i], corners[(i + 1) % n]);
    const float scale = by / std::max(1 + p.x * q.x + p.y * q.y, 0.2f);
    moved.push_back({corners[i].x + (p.x + q.x) * scale, corners[i].y + (p.y + q.y) * scale});
  }
  return moved;
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

void Canvas::fill(const Contours& contours, Rgb colour) {
  // OpenCV paints every pixel that an outline touches, or a soft line along it: that much is taken off first.
  const float overhang = antialias_ ? 0.65f : 0.5f;
  std::vector<std::vector<cv::Point>> polygons;
  for (const std::vector<Point>& contour : contours) {
    std::vector<cv::Point>& polygon = polygons.emplace_back();
    for (const Point p : inset(contour, polygons.size() == 1 ? overhang : -overhang)) {
      polygon.emplace_back(cvRound((p.x - 0.5f) * (1 << kFractionBits)), cvRound((p.y - 0.5f) * (1 << kFractionBits)));
    }
  }
  const int line_type = antialias_ ? cv::LINE_AA : cv::LINE_8;
  if (polygons.size() == 1 && cv::isContourConvex(polygons[0])) {  // more exact at slanted edges
    cv::fillConvexPoly(pixels_of(image_), polygons[0], scalar(colour), line_type, kFractionBits);
  } else {
    cv::fillPoly(pixels_of(image_), polygons, scalar(colour), line_type, kFractionBits);
  }
}

void Canvas::disc(float x, float y, float radius, Rgb colour) { fill({arc(x, y, radius, 0, kTurn)}, colour); }

void Canvas::ring(float x, float y, float outer, float inner, Rgb colour) {
  fill({arc(x, y, outer, 0, kTurn), arc(x, y, inner, 0, kTurn)}, colour);
}

void Canvas::box(float x, float y, float half_x, float half_y, float angle, Rgb colour) {
  const float c = std::cos(angle), s = std::sin(angle);
  const auto corner = [&](float u, float v) { return Point{x + c * u - s * v, y + s * u + c * v}; };
  fill({{corner(-half_x, -half_y), corner(half_x, -half_y), corner(half_x, half_y), corner(-half_x, half_y)}}, colour);
}

void Canvas::polygon(const std::vector<Point>& corners, Rgb colour) {
  if (corners.size() >= 3) fill({corners}, colour);
}

void Canvas::line(Point a, Point b, float width, Rgb colour) {
  const float dx = b.x - a.x, dy = b.y - a.y;
  box((a.x + b.x) / 2, (a.y + b.y) / 2, std::hypot(dx, dy) / 2 + width / 2, width / 2, std::atan2(dy, dx), colour);
}

void Canvas::pie(float x, float y, float radius, float from, float to, Rgb colour) {
  std::vector<Point> corners = arc(x, y, radius, from, to);
  corners.push_back({x + radius * std::cos(to), y + radius * std::sin(to)});
  corners.push_back({x, y});
  fill({corners}, colour);
}

float Canvas::word(std::string_view word, float x, float y, float dot, Rgb colour) {
  constexpr float kCapitalHeight = 21;  // of the font at scale 1, without the strokes' width
  for (const char c : word) {
    cv::putText(pixels_of(image_), std::string(1, c), cv::Point2f(x, y + 4.5f * dot), cv::FONT_HERSHEY_SIMPLEX,
                4 * dot / kCapitalHeight, scalar(colour), std::max(1, cvRound(0.8f * dot)),
                antialias_ ? cv::LINE_AA : cv::LINE_8);
    x += 4 * dot;
  }
  return x;
}

}  // namespace sf::data
