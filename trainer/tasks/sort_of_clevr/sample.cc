#include "trainer/tasks/sort_of_clevr/sample.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "trainer/tasks/sort_of_clevr/non_scene.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf::data {
namespace {

constexpr int kAspectTries = 48;

float log_uniform(Rng& rng, float low, float high) { return low * std::exp(rng.uniform() * std::log(high / low)); }

// Effect: an aspect ratio (width / height) whose images choose_grid lays out in `grid`.
float draw_aspect(Rng& rng, GridSize grid, const PreprocessOptions& pre) {
  const float own = static_cast<float>(grid.columns) / static_cast<float>(grid.rows);
  if (pre.crop) return own;  // any other loses a part of the scene
  if (rng.chance(0.4f)) return own;
  for (int attempt = 0; attempt < kAspectTries; ++attempt) {
    const float aspect = own * log_uniform(rng, 0.7f, 1.43f);
    if (choose_grid(static_cast<int>(std::lround(aspect * 1000)), 1000, pre) == grid) return aspect;
  }
  return own;
}

// Effect: the size at which an image of this aspect ratio fills the grid, so that nothing is resized.
void size_in_grid(float aspect, GridSize grid, const PreprocessOptions& pre, int& width, int& height) {
  const float full_width = static_cast<float>(grid.columns * pre.cell_size);
  const float full_height = static_cast<float>(grid.rows * pre.cell_size);
  const float scale = std::min(full_width / aspect, full_height);
  width = std::min(grid.columns * pre.cell_size, static_cast<int>(std::lround(aspect * scale)));
  height = std::min(grid.rows * pre.cell_size, static_cast<int>(std::lround(scale)));
}

// Effect: an image size that choose_grid maps to `grid`.
void draw_sample_size(Rng& rng, GridSize grid, const SampleOptions& options, int& width, int& height) {
  if (!options.augment && grid.rows == grid.columns) {
    width = height = 75;
  } else {
    const float aspect = draw_aspect(rng, grid, options.pre);
    if (rng.chance(options.direct_fraction)) {
      size_in_grid(aspect, grid, options.pre, width, height);
    } else {
      draw_size(rng, aspect, width, height);
    }
  }
  if (choose_grid(width, height, options.pre) == grid) return;  // rounding can move a size over the border
  width = grid.columns * options.pre.cell_size;
  height = grid.rows * options.pre.cell_size;
  SF_REQUIRE(choose_grid(width, height, options.pre) == grid, "sample: no picture is laid out in a grid of ", grid.rows,
             " x ", grid.columns, " cells");
}

void map_centres(Sample& sample) {
  const float sx = static_cast<float>(sample.pixels.width) / static_cast<float>(sample.scene.width);
  const float sy = static_cast<float>(sample.pixels.height) / static_cast<float>(sample.scene.height);
  for (const Object& object : sample.scene.objects) {
    sample.centres.push_back({static_cast<float>(sample.pixels.left) + object.x * sx,
                              static_cast<float>(sample.pixels.top) + object.y * sy});
  }
}

}  // namespace

bool Sample::visible(size_t i, int cell_px) const {
  const Point centre = centres[i];
  return centre.x >= 0 && centre.y >= 0 && centre.x <= static_cast<float>(pixels.grid.columns * cell_px) &&
         centre.y <= static_cast<float>(pixels.grid.rows * cell_px);
}

GridSize draw_grid(Rng& rng, const SampleOptions& options) {
  if (options.pre.crop) return choose_grid(1, 1, options.pre);
  if (options.fixed_rows > 0 && options.fixed_columns > 0) return {options.fixed_rows, options.fixed_columns};
  const float aspect = rng.chance(options.square_fraction) ? 1.f : log_uniform(rng, 0.5f, 2);
  return choose_grid(static_cast<int>(std::lround(aspect * 1000)), 1000, options.pre);
}

void draw_size(Rng& rng, float aspect, int& width, int& height) {
  const float short_side = rng.chance(0.95f) ? log_uniform(rng, 64, 320) : log_uniform(rng, 320, 700);
  width = static_cast<int>(std::lround(short_side * std::max(1.f, aspect)));
  height = static_cast<int>(std::lround(short_side * std::max(1.f, 1 / aspect)));
}

SceneOptions varied_scene_options(Rng& rng, int width, int height, int min_objects, int max_objects) {
  SceneOptions options;
  options.width = width;
  options.height = height;
  options.min_objects = options.max_objects = rng.range(min_objects, max_objects);
  if (rng.chance(0.35f)) return options;  // the paper's sizes, whatever the image's
  options.min_half = 0.031f;
  options.max_half = options.max_objects <= 3 && rng.chance(0.2f) ? 0.2f : 0.105f;
  options.mixed_sizes = 0.5f;
  options.turned_squares = 0.15f;
  return options;
}

Sample sample_of(const Scene& scene, const Image& image, const PreprocessOptions& pre) {
  Sample sample;
  sample.scene = scene;
  sample.is_scene = !scene.objects.empty();
  sample.pixels = preprocess(image, pre);
  map_centres(sample);
  return sample;
}

Sample make_sample(Rng& rng, GridSize grid, const SampleOptions& options) {
  int width = 0, height = 0;
  draw_sample_size(rng, grid, options, width, height);
  if (rng.chance(options.non_scene_fraction)) {
    return sample_of({width, height, {}}, render_non_scene(rng, width, height), options.pre);
  }
  if (!options.augment) {
    const Scene scene = generate_scene(
        rng,
        {.min_objects = options.min_objects, .max_objects = options.max_objects, .width = width, .height = height});
    return sample_of(scene, render(scene, plain_style(), rng), options.pre);
  }
  const Scene scene =
      generate_scene(rng, varied_scene_options(rng, width, height, options.min_objects, options.max_objects));
  const Style style = random_style(rng);
  return sample_of(scene, render(scene, style, rng), options.pre);
}

}  // namespace sf::data
