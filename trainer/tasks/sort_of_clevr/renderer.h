// Scene -> image, in a style: how the background and the six colours look, edges, outlines, blur, noise, JPEG
// artefacts.
//
//   Image plain = render(scene, plain_style(), rng);
//   Image varied = render(scene, random_style(rng), rng);
//
// Thread-safe: free functions; the Rng is the caller's.
#pragma once

#include <array>

#include "engine/image/image.h"
#include "trainer/tasks/sort_of_clevr/canvas.h"
#include "trainer/tasks/sort_of_clevr/scene.h"

namespace sf::data {

struct Style {
  enum class Ground { kSolid, kLinear, kRadial };
  Ground ground = Ground::kSolid;
  Rgb background{255, 255, 255};
  Rgb background2{255, 255, 255};          // the gradient's other end
  float ground_angle = 0;                  // direction of a linear gradient, radians
  float texture = 0;                       // amplitude of a smooth random texture on the background, 0..255
  float texture_cell = 8;                  // its grain, pixels
  std::array<Rgb, kNumColours> colours{};  // how each colour word is painted
  bool antialias = true;
  float outline = 0;  // width inside the object's edge, as a fraction of `half`; 0 = none
  Rgb outline_colour{0, 0, 0};
  float blur = 0;        // 0..1: weight of one binomial 3x3 pass
  float noise = 0;       // amplitude of per-pixel noise, 0..255
  int jpeg_quality = 0;  // 0 = no JPEG round trip
};

// White, pure colours, anti-aliased: the paper's images.
Style plain_style();

// Effect: draws a style; every colour is at least kMinContrast from every colour of the background.
Style random_style(Rng& rng);
inline constexpr float kMinContrast = 75;  // Euclidean, RGB 0..255

// A shade that people call by this name: hue, saturation and value in the ranges the model is trained for.
Rgb random_shade(Rng& rng, Colour colour);

Image render(const Scene& scene, const Style& style, Rng& rng);

// Post-processing shared with images that are no scenes.
void add_noise(Image& image, float amplitude, Rng& rng);
void blur(Image& image, float weight);
// Effect: encodes and decodes. Errors: Internal if the codec fails.
Image jpeg_round_trip(const Image& image, int quality, bool subsample);

}  // namespace sf::data
