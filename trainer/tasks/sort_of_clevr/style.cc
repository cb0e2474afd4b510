#include <algorithm>

#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf::data {
namespace {

// How people who write programs paint these six: pure, CSS, and a plotting library's default cycle.
constexpr std::array<std::array<Rgb, kNumColours>, 4> kPalettes = {{
    {{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 156, 0}, {128, 128, 128}, {255, 255, 0}}},
    {{{255, 0, 0}, {0, 128, 0}, {0, 0, 255}, {255, 165, 0}, {128, 128, 128}, {255, 255, 0}}},
    {{{214, 39, 40}, {44, 160, 44}, {31, 119, 180}, {255, 127, 14}, {127, 127, 127}, {255, 215, 0}}},
    {{{220, 20, 60}, {50, 205, 50}, {30, 144, 255}, {255, 140, 0}, {105, 105, 105}, {255, 235, 59}}},
}};

struct ShadeRange {
  float hue_low, hue_high;
  float min_saturation, min_value;
};

// Ends chosen so that CSS's crimson, tomato, darkred, darkorange, gold, darkgreen, seagreen, dodgerblue, navy lie
// inside and brown, olive, teal and purple do not. Grey is handled apart.
ShadeRange shade_range(Colour colour) {
  switch (colour) {
    case kRed:
      return {345 - 360, 12, 0.6f, 0.45f};
    case kGreen:
      return {82, 155, 0.5f, 0.36f};
    case kBlue:
      return {198, 250, 0.5f, 0.42f};
    case kOrange:
      return {17, 41, 0.65f, 0.8f};
    default:
      return {47, 64, 0.5f, 0.75f};
  }
}

// Half the shades are vivid; without the floor on s*v dark and pale together would give a brown or a grey.
constexpr float kMinChroma = 0.34f;

Rgb random_ground(Rng& rng) {
  const float u = rng.uniform();
  if (u < 0.38f) {
    if (rng.chance(0.6f)) return {255, 255, 255};
    return hsv(rng.uniform(0, 360), rng.uniform(0, 0.06f), rng.uniform(0.92f, 1));
  }
  if (u < 0.60f) {
    if (rng.chance(0.4f)) return {0, 0, 0};
    return hsv(rng.uniform(0, 360), rng.uniform(0, 0.6f), rng.uniform(0.02f, 0.24f));
  }
  if (u < 0.76f) return hsv(rng.uniform(0, 360), rng.uniform(0.08f, 0.4f), rng.uniform(0.75f, 1));
  if (u < 0.88f) return hsv(rng.uniform(0, 360), rng.uniform(0, 0.05f), rng.uniform(0.2f, 0.92f));
  return hsv(rng.uniform(0, 360), rng.uniform(0.4f, 1), rng.uniform(0.25f, 1));
}

void draw_ground(Rng& rng, Style& style) {
  style.background = style.background2 = random_ground(rng);
  style.ground = Style::Ground::kSolid;
  style.texture = 0;
  if (rng.chance(0.16f)) {
    style.ground = rng.chance(0.7f) ? Style::Ground::kLinear : Style::Ground::kRadial;
    style.ground_angle = rng.uniform(0, 6.2831853f);
    style.background2 = mix(style.background, random_ground(rng), rng.uniform(0.2f, 1));
  }
  if (rng.chance(0.15f)) {
    style.texture = rng.uniform(3, 20);
    style.texture_cell = rng.uniform(3, 40);
  }
}

// Effect: paints every colour visibly different from the ground, or false where that fails.
bool draw_colours(Rng& rng, Style& style) {
  const float needed = kMinContrast + style.texture * 1.2f;
  const bool named = rng.chance(0.35f);
  const auto& palette = rng.pick(kPalettes);
  for (int i = 0; i < kNumColours; ++i) {
    const auto colour = static_cast<Colour>(i);
    Rgb shade = named ? palette[i] : random_shade(rng, colour);
    int tries = 0;
    while (distance_to_segment(shade, style.background, style.background2) < needed && ++tries < 24) {
      shade = random_shade(rng, colour);
    }
    if (tries == 24) return false;
    style.colours[i] = shade;
  }
  return true;
}

}  // namespace

Style plain_style() {
  Style style;
  style.colours = kPalettes[0];
  return style;
}

Rgb random_shade(Rng& rng, Colour colour) {
  if (colour == kGrey) {
    const float saturation = rng.chance(0.6f) ? 0.f : rng.uniform(0, rng.chance(0.2f) ? 0.2f : 0.09f);
    const float hue = saturation > 0.1f ? rng.uniform(200, 225) : rng.uniform(0, 360);
    return hsv(hue, saturation, rng.uniform(0.3f, 0.82f));
  }
  const ShadeRange range = shade_range(colour);
  const float hue = rng.uniform(range.hue_low, range.hue_high);
  for (;;) {
    const float saturation = rng.chance(0.5f) ? rng.uniform(0.88f, 1) : rng.uniform(range.min_saturation, 1);
    const float value = rng.chance(0.5f) ? rng.uniform(0.85f, 1) : rng.uniform(range.min_value, 1);
    if (saturation * value >= kMinChroma) return hsv(hue, saturation, value);
  }
}

Style random_style(Rng& rng) {
  Style style;
  do {
    draw_ground(rng, style);
  } while (!draw_colours(rng, style));
  style.antialias = rng.chance(0.7f);
  if (rng.chance(0.2f)) {
    style.outline = rng.uniform(0.05f, 0.25f);
    style.outline_colour = rng.chance(0.75f) ? hsv(0, 0, rng.uniform(0, 0.2f)) : hsv(0, 0, rng.uniform(0.85f, 1));
  }
  if (rng.chance(0.2f)) style.blur = rng.uniform(0.3f, 1);
  if (rng.chance(0.25f)) style.noise = rng.uniform(2, 26);
  if (rng.chance(0.22f)) style.jpeg_quality = rng.range(45, 96);
  return style;
}

}  // namespace sf::data
