#include "engine/input/preprocess.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

void check(const PreprocessOptions& options) {
  SF_REQUIRE(options.cell_size > 0 && options.max_cells > 0 && options.max_side_cells > 0,
             "preprocess: cell_size, max_cells and max_side_cells must be positive");
  SF_REQUIRE(options.std > 0.0f, "preprocess: std must be positive, got ", options.std);
}

// round(a * b / c), at least 1 and at most `limit`.
int scaled_side(int64_t a, int64_t b, int64_t c, int limit) {
  return static_cast<int>(std::clamp<int64_t>((2 * a * b + c) / (2 * c), 1, limit));
}

// The picture's place in the grid: the largest size of the same aspect ratio, centred.
void place(const Image& image, const PreprocessOptions& options, PixelValues& pixels) {
  const int grid_width = pixels.grid.columns * options.cell_size;
  const int grid_height = pixels.grid.rows * options.cell_size;
  if (int64_t{grid_width} * image.height <= int64_t{grid_height} * image.width) {
    pixels.width = grid_width;
    pixels.height = scaled_side(image.height, grid_width, image.width, grid_height);
  } else {
    pixels.height = grid_height;
    pixels.width = scaled_side(image.width, grid_height, image.height, grid_width);
  }
  pixels.left = (grid_width - pixels.width) / 2;
  pixels.top = (grid_height - pixels.height) / 2;
}

void write_normalised(const Image& image, const PreprocessOptions& options, PixelValues& pixels) {
  std::array<float, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = (static_cast<float>(i) / 255.0f - options.mean) / options.std;

  const size_t stride = static_cast<size_t>(pixels.grid.columns * options.cell_size);
  const size_t plane = stride * static_cast<size_t>(pixels.grid.rows * options.cell_size);
  const float pad = (options.pad_value - options.mean) / options.std;
  pixels.values.resize(plane * 3);
  if (static_cast<size_t>(image.width) * static_cast<size_t>(image.height) != plane) {
    std::fill(pixels.values.begin(), pixels.values.end(), pad);
  }
  const uint8_t* in = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    float* red = pixels.values.data() + static_cast<size_t>(pixels.top + y) * stride + static_cast<size_t>(pixels.left);
    float* green = red + plane;
    float* blue = green + plane;
    for (int x = 0; x < image.width; ++x, in += 3) {
      red[x] = table[in[0]];
      green[x] = table[in[1]];
      blue[x] = table[in[2]];
    }
  }
}

}  // namespace

GridSize choose_grid(int width, int height, const PreprocessOptions& options) {
  check(options);
  SF_REQUIRE(width > 0 && height > 0, "preprocess: picture is empty, ", width, "x", height);
  GridSize best;
  int64_t best_scale = 0;
  for (int rows = 1; rows <= std::min(options.max_side_cells, options.max_cells); ++rows) {
    for (int columns = 1; columns <= options.max_side_cells && rows * columns <= options.max_cells; ++columns) {
      // The factor by which the picture grows to fit is min(columns / width, rows / height); times width * height it
      // stays an integer, so ties are exact.
      const int64_t scale = std::min(int64_t{columns} * height, int64_t{rows} * width);
      const bool fewer = rows * columns < best.rows * best.columns;
      if (scale > best_scale || (scale == best_scale && fewer)) {
        best = {rows, columns};
        best_scale = scale;
      }
    }
  }
  return best;
}

PixelValues preprocess(const Image& image, const PreprocessOptions& options) {
  PixelValues pixels;
  pixels.grid = choose_grid(image.width, image.height, options);
  place(image, options, pixels);
  if (image.width == pixels.width && image.height == pixels.height) {
    write_normalised(image, options, pixels);
  } else {
    write_normalised(resize_bicubic(image, pixels.width, pixels.height), options, pixels);
  }
  return pixels;
}

}  // namespace sf
