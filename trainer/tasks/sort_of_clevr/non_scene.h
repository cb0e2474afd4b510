// Images that are no scenes: noise, gradients, text, charts, blobs, stripes, polygons and the like. The model must
// refuse every question about them.
//
//   Image image = render_non_scene(rng, 192, 160);
//
// Thread-safe: free functions; the Rng is the caller's.
#pragma once

#include "engine/image/image.h"
#include "trainer/data/rng.h"

namespace sf::data {

enum class NonScene {
  kFlat,
  kNoise,
  kSmoothNoise,
  kBlocks,
  kGradient,
  kText,
  kBarChart,
  kLineChart,
  kPieChart,
  kBlurredShapes,
  kBlobs,
  kStripes,
  kCheckerboard,
  kConfetti,
  kPolygons,
  kScribble,
  kRings,
  kDrawing,
};
inline constexpr int kNumNonScenes = static_cast<int>(NonScene::kDrawing) + 1;

// Effect: a random type. REQUIRES: both sides >= 16. Thread-safe.
Image render_non_scene(Rng& rng, int width, int height);
Image render_non_scene(Rng& rng, NonScene type, int width, int height);
// Effect: at a random size and aspect ratio.
Image render_non_scene(Rng& rng);

}  // namespace sf::data
