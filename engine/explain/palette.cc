#include <algorithm>
#include <array>
#include <cmath>

#include "engine/explain/overlay.h"

namespace sf {
namespace {

// Points of matplotlib's "inferno" (CC0) at equal steps.
constexpr std::array<Rgb8, 9> kInferno = {{{0, 0, 4},
                                           {31, 12, 72},
                                           {85, 15, 109},
                                           {136, 34, 106},
                                           {186, 54, 85},
                                           {227, 89, 51},
                                           {249, 140, 10},
                                           {249, 201, 50},
                                           {252, 255, 164}}};

constexpr std::array<Rgb8, 8> kCategories = {{{230, 159, 0},
                                              {86, 180, 233},
                                              {0, 158, 115},
                                              {240, 228, 66},
                                              {0, 114, 178},
                                              {213, 94, 0},
                                              {204, 121, 167},
                                              {120, 120, 120}}};

uint8_t channel(double value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0))); }

}  // namespace

Rgb8 heat_colour(double value) {
  const double at = std::clamp(value, 0.0, 1.0) * double(kInferno.size() - 1);
  const size_t low = std::min(static_cast<size_t>(at), kInferno.size() - 2);
  const double part = at - double(low);
  Rgb8 out{};
  for (size_t c = 0; c < 3; ++c) out[c] = channel(kInferno[low][c] * (1 - part) + kInferno[low + 1][c] * part);
  return out;
}

Rgb8 expert_colour(int expert, int num_experts) {
  if (num_experts <= static_cast<int>(kCategories.size()))
    return kCategories[static_cast<size_t>(expert) % kCategories.size()];
  const double turn = double(expert) / double(num_experts);
  Rgb8 out{};
  for (size_t c = 0; c < 3; ++c) out[c] = channel(140 + 110 * std::cos(6.283185307179586 * (turn - double(c) / 3)));
  return out;
}

}  // namespace sf
