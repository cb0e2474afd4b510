#include "trainer/data/sample.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "trainer/data/non_scene.h"
#include "trainer/data/renderer.h"

namespace sf::data {
namespace {

constexpr int kAspectTries = 48;

float log_uniform(Rng& rng, float low, float high) { return low * std::exp(rng.uniform() * std::log(high / low)); }

// Effect: an aspect ratio (width / height) whose pictures choose_grid lays out in `grid`.
float draw_aspect(Rng& rng, GridSize grid, const PreprocessOptions& pre) {
  const float own = static_cast<float>(grid.columns) / static_cast<float>(grid.rows);
  if (rng.chance(0.4f)) return own;
  for (int attempt = 0; attempt < kAspectTries; ++attempt) {
    const float aspect = own * log_uniform(rng, 0.7f, 1.43f);
    if (choose_grid(static_cast<int>(std::lround(aspect * 1000)), 1000, pre) == grid) return aspect;
  }
  return own;
}

// The part of the grid that a picture of this size takes: as preprocess lays it out.
PixelValues layout(int width, int height, GridSize grid, const PreprocessOptions& pre) {
  PixelValues out;
  out.grid = grid;
  const int full_width = grid.columns * pre.cell_size, full_height = grid.rows * pre.cell_size;
  const double scale = std::min(static_cast<double>(full_width) / width, static_cast<double>(full_height) / height);
  out.width = std::clamp(static_cast<int>(std::lround(width * scale)), 1, full_width);
  out.height = std::clamp(static_cast<int>(std::lround(height * scale)), 1, full_height);
  out.left = (full_width - out.width) / 2;
  out.top = (full_height - out.height) / 2;
  return out;
}

// Effect: fills values from an image that has exactly the size of the layout's picture part.
void fill_values(const Image& image, const PreprocessOptions& pre, PixelValues& out) {
  std::array<float, 256> normalised;
  for (int i = 0; i < 256; ++i) normalised[i] = (static_cast<float>(i) / 255.f - pre.mean) / pre.std;
  const int full_width = out.grid.columns * pre.cell_size, full_height = out.grid.rows * pre.cell_size;
  const size_t plane = static_cast<size_t>(full_width) * full_height;
  out.values.assign(plane * 3, (pre.pad_value - pre.mean) / pre.std);
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* source = &image.pixels[static_cast<size_t>(y) * image.width * 3];
    float* target = &out.values[static_cast<size_t>(out.top + y) * full_width + out.left];
    for (int x = 0; x < out.width; ++x, source += 3, ++target) {
      target[0] = normalised[source[0]];
      target[plane] = normalised[source[1]];
      target[2 * plane] = normalised[source[2]];
    }
  }
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

GridSize draw_grid(Rng& rng, const SampleOptions& options) {
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
  if (rng.chance(0.35f)) return options;  // the paper's sizes, whatever the picture's
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
  const bool direct = rng.chance(options.direct_fraction);
  const float aspect = draw_aspect(rng, grid, options.pre);
  int width = 0, height = 0;
  draw_size(rng, aspect, width, height);
  if (!options.augment && grid.rows == grid.columns) width = height = 75;
  PixelValues part;
  if (!direct && !(choose_grid(width, height, options.pre) == grid)) {  // rounding moved it over the border
    width = static_cast<int>(std::lround(static_cast<float>(height) * static_cast<float>(grid.columns) / grid.rows));
  }
  if (direct) {
    part = layout(static_cast<int>(std::lround(aspect * 1000)), 1000, grid, options.pre);
    width = part.width, height = part.height;
  }

  Image image;
  Scene scene{width, height, {}};
  if (rng.chance(options.non_scene_fraction)) {
    image = render_non_scene(rng, width, height);
  } else if (options.augment) {
    scene = generate_scene(rng, varied_scene_options(rng, width, height, options.min_objects, options.max_objects));
    image = render(scene, random_style(rng), rng);
  } else {
    scene = generate_scene(rng, {.min_objects = options.min_objects, .max_objects = options.max_objects,
                                 .width = width, .height = height});
    image = render(scene, plain_style(), rng);
  }
  if (!direct) return sample_of(scene, image, options.pre);
  Sample sample;
  sample.scene = std::move(scene);
  sample.is_scene = !sample.scene.objects.empty();
  sample.pixels = std::move(part);
  fill_values(image, options.pre, sample.pixels);
  map_centres(sample);
  return sample;
}

}  // namespace sf::data
