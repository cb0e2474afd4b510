// A second, independent way to draw scenes, and other images that are no scenes: held-out evaluation only, never
// trained on. It shares the generator's facts but none of its drawing: scanlines on integers or 4x supersampling, its
// own palettes, backgrounds and sizes.
//
//   HeldOut held_out = draw_held_out(rng, 6, 6);
//   ask(held_out.image, paper_questions(rng, held_out.scene));
//
// Thread-safe: free functions; the Rng is the caller's.
#pragma once

#include <string>

#include "engine/image/image.h"
#include "trainer/tasks/sort_of_clevr/scene.h"

namespace sf::test {

struct HeldOut {
  data::Scene scene;  // where the objects were drawn, to the pixel
  Image image;
};

// Effect: short side 64..700, aspect ratio 1:2..2:1, objects of at least 4 px radius and 1/16 of the short side across,
// each at an RGB distance of at least 80 from the background.
HeldOut draw_held_out(data::Rng& rng, int min_objects, int max_objects);

// Effect: an image that is no scene; kNumHeldOutNonScenes kinds, most of them unlike any that the trainer draws.
inline constexpr int kNumHeldOutNonScenes = 18;
Image draw_held_out_non_scene(data::Rng& rng);
Image draw_held_out_non_scene(data::Rng& rng, int kind, int width, int height);

// Effect: the image's bytes as PNG, JPEG (quality 70..95) or WebP, by chance.
std::string encode_somehow(data::Rng& rng, const Image& image);

}  // namespace sf::test
