// The fast path of training: one image as the model sees it, with its scene.
//
//   GridSize grid = draw_grid(rng, options);               // once a batch: all its samples share it
//   Sample sample = make_sample(rng, grid, options);
//
// Thread-safe: free functions; the Rng is the caller's.
#pragma once

#include <vector>

#include "engine/image/preprocess.h"
#include "trainer/tasks/sort_of_clevr/canvas.h"
#include "trainer/tasks/sort_of_clevr/scene.h"

namespace sf::data {

struct SampleOptions {
  PreprocessOptions pre;
  int min_objects = 1;
  int max_objects = 6;
  bool augment = true;                    // off: the paper's images, 75 x 75
  float non_scene_fraction = 0;           // images that are no scenes
  float square_fraction = 0.6f;           // of grids drawn: the square one; others have aspect ratios in 1:2 .. 2:1
  float direct_fraction = 0.5f;           // drawn at the grid's resolution instead of being resized
  int fixed_rows = 0, fixed_columns = 0;  // both set: draw_grid always gives this grid
};

struct Sample {
  Scene scene;  // in pixels of the image as drawn; no objects where it is no scene
  bool is_scene = true;
  PixelValues pixels;
  std::vector<Point> centres;  // of scene.objects, in grid pixels (pixels' rows and columns, padding included)

  // Whether object i is centred in the grid: a crop can cut it off. `cell_px`: grid pixels along one cell's side.
  bool visible(size_t i, int cell_px) const;
};

// Effect: a grid that some image of aspect ratio 1:2 .. 2:1 is laid out in. Thread-safe.
GridSize draw_grid(Rng& rng, const SampleOptions& options);

// Effect: draws an image whose size choose_grid maps to `grid`. Thread-safe.
Sample make_sample(Rng& rng, GridSize grid, const SampleOptions& options);

// Options of a scene for an image of this size, with sizes and turned squares as training varies them.
SceneOptions varied_scene_options(Rng& rng, int width, int height, int min_objects, int max_objects);

// Effect: a native size with this aspect ratio (width / height): short side mostly 64..320, sometimes up to 700.
void draw_size(Rng& rng, float aspect, int& width, int& height);

// Effect: `scene` and `image` as the model sees them (preprocess), the centres mapped to grid pixels. Thread-safe.
Sample sample_of(const Scene& scene, const Image& image, const PreprocessOptions& pre);

}  // namespace sf::data
