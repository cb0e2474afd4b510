#include <algorithm>
#include <cmath>
#include <string>

#include "trainer/tasks/sort_of_clevr/non_scene_sheet.h"

namespace sf::data {
namespace {

constexpr float kTurn = 6.2831853f;

// Of capital letters or digits.
std::string random_word(Rng& rng) {
  std::string word(static_cast<size_t>(rng.range(1, 9)), 'A');
  const bool digits = rng.chance(0.15f);
  for (char& c : word) c = digits ? static_cast<char>('0' + rng.below(10)) : static_cast<char>('A' + rng.below(26));
  return word;
}

void draw_axes(Sheet& s, Canvas& canvas, float left, float bottom, float top, float right) {
  const Rgb ink = distance(s.ground, {0, 0, 0}) > 150 ? Rgb{20, 20, 20} : Rgb{230, 230, 230};
  const float width = std::max(1.f, s.short_side * 0.008f);
  canvas.line({left, top}, {left, bottom}, width, ink);
  canvas.line({left, bottom}, {right, bottom}, width, ink);
  const float dot = std::max(1.f, s.short_side * 0.01f);
  for (int i = 0; i < 5; ++i) {
    const float y = bottom - (bottom - top) * static_cast<float>(i) / 5;
    canvas.line({left - 3, y}, {left, y}, width, ink);
    canvas.word(random_word(s.rng).substr(0, 2), 1, y - 2, dot, ink);
  }
}

}  // namespace

void paint_text(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const bool one_colour = s.rng.chance(0.7f);
  const Rgb ink = visible(s.rng, s.ground);
  const float dot = std::max(1.f, s.short_side * s.rng.uniform(0.008f, 0.05f));
  const float indent = s.rng.uniform(0.02f, 0.2f) * s.width;
  for (float y = s.rng.uniform(0.02f, 0.3f) * s.height; y < s.height - 5 * dot; y += dot * s.rng.uniform(6, 9)) {
    float x = indent;
    const float end = s.width * s.rng.uniform(0.5f, 1);
    while (x < end)
      x = canvas.word(random_word(s.rng), x, y, dot, one_colour ? ink : visible(s.rng, s.ground)) + 2 * dot;
  }
}

void paint_bar_chart(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const int bars = s.rng.range(2, 12);
  const bool sideways = s.rng.chance(0.3f), many = s.rng.chance(0.6f);
  const Rgb one = visible(s.rng, s.ground);
  const float step = (sideways ? s.height : s.width) * 0.8f / static_cast<float>(bars);
  const float fill = s.rng.uniform(0.3f, 0.5f);
  for (int i = 0; i < bars; ++i) {
    const float at = (sideways ? s.height : s.width) * 0.12f + (static_cast<float>(i) + 0.5f) * step;
    const float length = (sideways ? s.width : s.height) * s.rng.uniform(0.1f, 0.8f);
    const Rgb colour = many ? visible(s.rng, s.ground) : one;
    if (sideways)
      canvas.box(s.width * 0.12f + length / 2, at, length / 2, step * fill, 0, colour);
    else
      canvas.box(at, s.height * 0.9f - length / 2, step * fill, length / 2, 0, colour);
  }
  if (s.rng.chance(0.8f)) draw_axes(s, canvas, s.width * 0.11f, s.height * 0.91f, s.height * 0.05f, s.width * 0.97f);
}

void paint_line_chart(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  draw_axes(s, canvas, s.width * 0.11f, s.height * 0.91f, s.height * 0.05f, s.width * 0.97f);
  const bool dots = s.rng.chance(0.4f), lines = !dots || s.rng.chance(0.5f);
  for (int series = s.rng.range(1, 4); series > 0; --series) {
    const Rgb colour = visible(s.rng, s.ground);
    const int n = s.rng.range(4, 30);
    float y = s.height * s.rng.uniform(0.2f, 0.8f);
    Point before{};
    for (int i = 0; i < n; ++i) {
      y = std::clamp(y + s.rng.normal() * s.height * 0.08f, s.height * 0.06f, s.height * 0.88f);
      const Point here{s.width * (0.13f + 0.82f * static_cast<float>(i) / static_cast<float>(n - 1)), y};
      if (lines && i > 0) canvas.line(before, here, std::max(1.f, s.short_side * 0.012f), colour);
      if (dots) canvas.disc(here.x, here.y, std::max(1.5f, s.short_side * 0.015f), colour);
      before = here;
    }
  }
}

void paint_pie_chart(Sheet& s) {
  Canvas canvas(s.image, s.antialias);
  const float x = s.width * s.rng.uniform(0.35f, 0.65f), y = s.height * s.rng.uniform(0.4f, 0.6f);
  const float radius = s.short_side * s.rng.uniform(0.2f, 0.42f);
  const float start = s.rng.uniform(0, kTurn);
  float angle = start;
  while (angle < start + kTurn) {
    const float next = std::min(angle + s.rng.uniform(0.3f, 2), start + kTurn);
    canvas.pie(x, y, radius, angle, next, visible(s.rng, s.ground));
    angle = next;
  }
  if (s.rng.chance(0.3f)) canvas.disc(x, y, radius * 0.5f, s.ground);
}

}  // namespace sf::data
