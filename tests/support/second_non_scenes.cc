#include <algorithm>
#include <array>
#include <cmath>

#include "tests/support/second_renderer.h"

namespace sf::test {
namespace {

using data::Rng;

// One image as a function of the position: every kind below gives the colour at (x, y) in 0..1 coordinates of the
// short side. Slow and simple, and unlike the trainer's canvas.
struct Colour3 {
  double r = 0, g = 0, b = 0;  // 0..1
};

Colour3 any(Rng& rng) { return {rng.uniform(), rng.uniform(), rng.uniform()}; }
Colour3 grey(double v) { return {v, v, v}; }
Colour3 blend(const Colour3& a, const Colour3& b, double t) {
  t = std::clamp(t, 0.0, 1.0);
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
Colour3 strong(Rng& rng) {
  constexpr std::array<Colour3, 8> kStrong = {
      {{1, 0, 0}, {0, 0.7, 0}, {0, 0, 1}, {1, 0.6, 0}, {0.5, 0.5, 0.5}, {1, 1, 0}, {0.6, 0, 0.6}, {0, 0.6, 0.6}}};
  return rng.pick(kStrong);
}
Colour3 light_or_dark(Rng& rng) { return rng.chance(0.6f) ? grey(1) : rng.chance(0.5f) ? grey(0) : any(rng); }

template <typename Shade>
Image paint(int width, int height, const Shade& shade) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  const double unit = std::min(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Colour3 c = shade((x + 0.5) / unit, (y + 0.5) / unit);
      uint8_t* pixel = &image.pixels[(static_cast<size_t>(y) * width + x) * 3];
      pixel[0] = static_cast<uint8_t>(std::clamp(c.r, 0.0, 1.0) * 255 + 0.5);
      pixel[1] = static_cast<uint8_t>(std::clamp(c.g, 0.0, 1.0) * 255 + 0.5);
      pixel[2] = static_cast<uint8_t>(std::clamp(c.b, 0.0, 1.0) * 255 + 0.5);
    }
  }
  return image;
}

Image gaussian_noise(Rng& rng, int w, int h) {
  const Colour3 base = any(rng);
  return paint(w, h, [&](double, double) {
    return Colour3{base.r + rng.normal() * 0.3, base.g + rng.normal() * 0.3, base.b + rng.normal() * 0.3};
  });
}

Image plasma(Rng& rng, int w, int h) {
  const double a = rng.uniform(3, 14), b = rng.uniform(3, 14), c = rng.uniform(0, 6);
  return paint(w, h, [=](double x, double y) {
    const double v =
        std::sin(a * x + c) + std::sin(b * y) + std::sin(a * (x + y)) + std::sin(b * std::hypot(x - 0.5, y - 0.4));
    return Colour3{0.5 + 0.5 * std::sin(v), 0.5 + 0.5 * std::sin(v + 2), 0.5 + 0.5 * std::sin(v + 4)};
  });
}

Image four_corners(Rng& rng, int w, int h) {
  const Colour3 a = any(rng), b = any(rng), c = any(rng), d = any(rng);
  return paint(w, h, [=](double x, double y) { return blend(blend(a, b, x), blend(c, d, x), y); });
}

Image julia(Rng& rng, int w, int h) {
  const double cr = rng.uniform(-0.9f, 0.3f), ci = rng.uniform(0.1f, 0.8f);
  const Colour3 low = any(rng), high = strong(rng);
  return paint(w, h, [=](double x, double y) {
    double zr = 3 * (x - 0.5), zi = 3 * (y - 0.5);
    int n = 0;
    for (; n < 40 && zr * zr + zi * zi < 4; ++n) {
      const double t = zr * zr - zi * zi + cr;
      zi = 2 * zr * zi + ci;
      zr = t;
    }
    return blend(low, high, n / 40.0);
  });
}

Image voronoi_map(Rng& rng, int w, int h) {
  struct Site {
    double x, y;
    Colour3 colour;
  };
  std::vector<Site> sites;
  for (int i = rng.range(8, 40); i > 0; --i) sites.push_back({rng.uniform(0, 2), rng.uniform(0, 2), any(rng)});
  return paint(w, h, [&](double x, double y) {
    double best = 1e9, second = 1e9;
    Colour3 colour;
    for (const Site& s : sites) {
      const double d = std::hypot(x - s.x, y - s.y);
      if (d < best)
        second = best, best = d, colour = s.colour;
      else
        second = std::min(second, d);
    }
    return second - best < 0.012 ? grey(0) : colour;
  });
}

Image code_matrix(Rng& rng, int w, int h) {  // like a printed square code
  const int n = rng.range(17, 33);
  std::vector<bool> cells(static_cast<size_t>(n) * n * 4);
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = rng.chance(0.5f);
  return paint(w, h, [=](double x, double y) {
    return cells[static_cast<size_t>(static_cast<int>(y * n) % n) * n + static_cast<int>(x * n) % n] ? grey(0)
                                                                                                     : grey(1);
  });
}

Image seven_segments(Rng& rng, int w, int h) {  // numbers of a clock's display
  constexpr std::array<int, 10> kLit = {0x77, 0x24, 0x5d, 0x6d, 0x2e, 0x6b, 0x7b, 0x25, 0x7f, 0x6f};
  const Colour3 ground = light_or_dark(rng), ink = strong(rng);
  std::array<int, 64> digits;
  for (int& digit : digits) digit = rng.below(10);
  const double size = rng.uniform(0.12f, 0.4f);
  return paint(w, h, [=](double x, double y) {
    const int column = static_cast<int>(x / size) % 8, row = static_cast<int>(y / (1.6 * size)) % 8;
    const double u = std::fmod(x, size) / size, v = std::fmod(y, 1.6 * size) / (1.6 * size);
    const int lit = kLit[digits[row * 8 + column]];
    const bool wide = u > 0.2 && u<0.7, upper = v> 0.1 && v < 0.5, lower = v >= 0.5 && v < 0.9;
    const bool left = u > 0.1 && u < 0.2, right = u >= 0.7 && u < 0.8;
    const bool on = ((lit & 1) && wide && v > 0.08 && v < 0.15) || ((lit & 2) && left && upper) ||
                    ((lit & 4) && right && upper) || ((lit & 8) && wide && v > 0.46 && v < 0.53) ||
                    ((lit & 16) && left && lower) || ((lit & 32) && right && lower) ||
                    ((lit & 64) && wide && v > 0.85 && v < 0.92);
    return on ? ink : ground;
  });
}

Image handwriting(Rng& rng, int w, int h) {
  const Colour3 ground = light_or_dark(rng), ink = ground.r > 0.5 ? Colour3{0.1, 0.1, 0.4} : grey(0.9);
  const double line = rng.uniform(0.12f, 0.25f), wave = rng.uniform(25, 60), p = rng.uniform(0, 6);
  return paint(w, h, [=](double x, double y) {
    const int row = static_cast<int>(y / line);
    const double middle = (row + 0.5) * line;
    const double curve = middle + line * 0.28 * std::sin(wave * x + p * row) * std::sin(wave * 0.31 * x + row);
    const bool gap = std::sin(7 * x + 3 * row) > 0.85;
    return !gap && std::abs(y - curve) < 0.012 + 0.004 * std::sin(wave * x) ? ink : ground;
  });
}

Image stacked_bars(Rng& rng, int w, int h) {
  const Colour3 ground = light_or_dark(rng);
  const int n = rng.range(3, 9);
  std::array<double, 16> low, high;
  for (int i = 0; i < 16; ++i) low[i] = rng.uniform(0.1f, 0.4f), high[i] = low[i] + rng.uniform(0.05f, 0.4f);
  const Colour3 a = strong(rng), b = strong(rng), axis = grey(1 - ground.r);
  return paint(w, h, [=](double x, double y) {
    if (std::abs(y - 0.9) < 0.006 || (std::abs(x - 0.05) < 0.006 && y < 0.9)) return axis;
    const int i = static_cast<int>((x - 0.08) * n);
    if (x < 0.08 || i >= n || (x - 0.08) * n - i > 0.65 || y > 0.9) return ground;
    return 0.9 - y < low[i] ? a : 0.9 - y < high[i] ? b : ground;
  });
}

Image area_chart(Rng& rng, int w, int h) {
  const Colour3 ground = light_or_dark(rng), a = strong(rng), b = strong(rng), axis = grey(1 - ground.r);
  const double f = rng.uniform(4, 12), g = rng.uniform(4, 12), p = rng.uniform(0, 6);
  return paint(w, h, [=](double x, double y) {
    if (std::abs(y - 0.92) < 0.006 || std::abs(x - 0.06) < 0.006) return axis;
    const double top = 0.55 + 0.15 * std::sin(f * x + p) + 0.08 * std::sin(2.3 * g * x);
    const double second = top + 0.12 + 0.08 * std::sin(g * x);
    if (y > 0.92 || x < 0.06) return ground;
    return y > second ? b : y > top ? a : std::fmod(y, 0.15) < 0.004 ? grey(0.6) : ground;
  });
}

Image heat_map(Rng& rng, int w, int h) {
  const int n = rng.range(4, 12);
  std::array<double, 400> values;
  for (double& v : values) v = rng.uniform();
  const Colour3 low = any(rng), high = strong(rng);
  return paint(w, h, [=](double x, double y) {
    const double u = x * n, v = y * n;
    if (u - std::floor(u) < 0.05 || v - std::floor(v) < 0.05) return grey(1);
    return blend(low, high, values[static_cast<size_t>(static_cast<int>(v) * 20 + static_cast<int>(u)) % 400]);
  });
}

// Circles and squares so far out of focus that no edge is left.
Image out_of_focus(Rng& rng, int w, int h) {
  struct Spot {
    double x, y, size;
    bool square;
    Colour3 colour;
  };
  const Colour3 ground = light_or_dark(rng);
  std::vector<Spot> spots;
  for (int i = rng.range(2, 7); i > 0; --i) {
    spots.push_back(
        {rng.uniform(0.1f, 0.9f), rng.uniform(0.1f, 0.9f), rng.uniform(0.07f, 0.14f), rng.chance(0.5f), strong(rng)});
  }
  return paint(w, h, [=](double x, double y) {
    Colour3 c = ground;
    for (const Spot& s : spots) {
      const double dx = std::abs(x - s.x), dy = std::abs(y - s.y);
      const double d = s.square ? std::pow(dx * dx * dx + dy * dy * dy, 1.0 / 3) : std::hypot(dx, dy);
      c = blend(c, s.colour, std::exp(-d * d / (2 * s.size * s.size)) * 0.9);
    }
    return c;
  });
}

Image symbols(Rng& rng, int w, int h) {  // crosses, hearts, crescents, arrows
  struct Mark {
    double x, y, size;
    int kind;
    Colour3 colour;
  };
  const Colour3 ground = light_or_dark(rng);
  std::vector<Mark> marks;
  for (int i = rng.range(2, 7); i > 0; --i) {
    marks.push_back(
        {rng.uniform(0.1f, 0.9f), rng.uniform(0.1f, 0.9f), rng.uniform(0.07f, 0.15f), rng.below(4), strong(rng)});
  }
  return paint(w, h, [=](double x, double y) {
    for (const Mark& m : marks) {
      const double u = (x - m.x) / m.size, v = (y - m.y) / m.size;
      if (std::abs(u) > 1.2 || std::abs(v) > 1.2) continue;
      bool in = false;
      if (m.kind == 0) in = (std::abs(u) < 0.25 && std::abs(v) < 1) || (std::abs(v) < 0.25 && std::abs(u) < 1);
      if (m.kind == 1) in = std::pow(u * u + v * v * 1.1 - 0.6, 3) + u * u * v * v * v < 0;
      if (m.kind == 2) in = std::hypot(u, v) < 0.9 && std::hypot(u - 0.45, v) > 0.75;
      if (m.kind == 3)
        in = (std::abs(v) < 0.2 && u > -1 && u < 0.2) || (u >= 0.2 && u < 1 && std::abs(v) < (1 - u) * 0.8);
      if (in) return m.colour;
    }
    return ground;
  });
}

Image star_field(Rng& rng, int w, int h) {
  Image image = paint(w, h, [](double, double y) { return Colour3{0, 0, 0.15 * y}; });
  for (int i = rng.range(60, 400); i > 0; --i) {
    uint8_t* pixel = &image.pixels[(static_cast<size_t>(rng.below(h)) * w + rng.below(w)) * 3];
    std::fill(pixel, pixel + 3, static_cast<uint8_t>(rng.range(120, 255)));
  }
  return image;
}

Image wood(Rng& rng, int w, int h) {
  const double f = rng.uniform(20, 60), bend = rng.uniform(0.02f, 0.1f);
  const Colour3 a{0.45, 0.28, 0.12}, b{0.75, 0.52, 0.3};
  return paint(w, h, [=](double x, double y) {
    return blend(a, b, 0.5 + 0.5 * std::sin(f * (x + bend * std::sin(5 * y) + 0.3 * y * y)));
  });
}

Image weave(Rng& rng, int w, int h) {
  const double n = rng.uniform(6, 25);
  const Colour3 a = any(rng), b = strong(rng), c = grey(0.1);
  return paint(w, h, [=](double x, double y) {
    const double u = x * n, v = y * n;
    const bool over = (static_cast<int>(u) + static_cast<int>(v)) % 2 == 0;
    const double edge = over ? v - std::floor(v) : u - std::floor(u);
    return edge < 0.15 ? c : over ? a : b;
  });
}

Image spiral(Rng& rng, int w, int h) {
  const double turns = rng.uniform(20, 60), arms = rng.range(1, 5);
  const Colour3 a = light_or_dark(rng), b = strong(rng);
  return paint(w, h, [=](double x, double y) {
    const double dx = x - 0.5, dy = y - 0.5;
    return std::sin(turns * std::hypot(dx, dy) + arms * std::atan2(dy, dx)) > 0 ? a : b;
  });
}

Image landscape(Rng& rng, int w, int h) {
  const Colour3 sky_low{0.9, 0.75, 0.6}, sky_high{0.3, 0.5, 0.85};
  const double p = rng.uniform(0, 6), f = rng.uniform(3, 9);
  return paint(w, h, [=](double x, double y) {
    for (int ridge = 2; ridge >= 0; --ridge) {
      const double top =
          0.45 + 0.15 * ridge + 0.07 * std::sin(f * x + p * (ridge + 1)) + 0.03 * std::sin(3.7 * f * x + ridge);
      if (y > top) return blend({0.55, 0.6, 0.65}, {0.1, 0.25, 0.1}, ridge / 2.0);
    }
    return blend(sky_high, sky_low, y * 1.8);
  });
}

constexpr std::array<Image (*)(Rng&, int, int), kNumHeldOutNonScenes> kPainters = {
    gaussian_noise, plasma,      four_corners, julia,      voronoi_map, code_matrix,
    seven_segments, handwriting, stacked_bars, area_chart, heat_map,    out_of_focus,
    symbols,        star_field,  wood,         weave,      spiral,      landscape};

}  // namespace

Image draw_held_out_non_scene(Rng& rng, int kind, int width, int height) {
  return kPainters.at(kind)(rng, width, height);
}

Image draw_held_out_non_scene(Rng& rng) {
  const int side = rng.range(96, 360);
  const int other = static_cast<int>(static_cast<float>(side) * rng.uniform(1, 2));
  const bool wide = rng.chance(0.5f);
  return draw_held_out_non_scene(rng, rng.below(kNumHeldOutNonScenes), wide ? other : side, wide ? side : other);
}

}  // namespace sf::test
