#include "engine/image/preprocess.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/error.h"

namespace sf {
namespace {

void check(const PreprocessOptions& options) {
  SF_REQUIRE(options.cell_size > 0 && options.max_cells > 0 && options.max_side_cells > 0,
             "preprocess: cell_size, max_cells and max_side_cells must be positive");
  for (float std : options.std) SF_REQUIRE(std > 0.0f, "preprocess: std must be positive, got ", std);
  if (options.crop || options.stretch) {
    SF_REQUIRE(options.crop_side > 0 && (options.stretch || options.crop_side <= options.resize_side) &&
                   options.crop_side % options.cell_size == 0,
               "preprocess: crop_side must be a multiple of cell_size and at most resize_side, got ",
               options.crop_side);
  }
}

// round(a * b / c), at least 1 and at most `limit`.
int scaled_side(int64_t a, int64_t b, int64_t c, int limit) {
  return static_cast<int>(std::clamp<int64_t>((2 * a * b + c) / (2 * c), 1, limit));
}

// The place of an image of this size in the grid: the largest size of the same aspect ratio, centred.
void place(int width, int height, const PreprocessOptions& options, PixelValues& pixels) {
  const int grid_width = pixels.grid.columns * options.cell_size;
  const int grid_height = pixels.grid.rows * options.cell_size;
  if (int64_t{grid_width} * height <= int64_t{grid_height} * width) {
    pixels.width = grid_width;
    pixels.height = scaled_side(height, grid_width, width, grid_height);
  } else {
    pixels.height = grid_height;
    pixels.width = scaled_side(width, grid_height, height, grid_width);
  }
  pixels.left = (grid_width - pixels.width) / 2;
  pixels.top = (grid_height - pixels.height) / 2;
}

// The size to which preprocess() resizes an image of this size, before it crops.
ImageSize resized_size(int width, int height, const PreprocessOptions& options) {
  if (options.stretch) return {options.crop_side, options.crop_side};
  if (options.crop) {
    const int64_t side = options.resize_side, shorter = std::min(width, height);
    return {width == shorter ? side : side * width / shorter, height == shorter ? side : side * height / shorter};
  }
  PixelValues pixels;
  pixels.grid = choose_grid(width, height, options);
  place(width, height, options, pixels);
  return {pixels.width, pixels.height};
}

// `image`: what of the image lies inside the grid, at the grid's scale.
void write_normalised(const Image& image, const PreprocessOptions& options, PixelValues& pixels) {
  std::array<std::array<float, 256>, 3> table;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 256; ++i) table[c][i] = (static_cast<float>(i) / 255.0f - options.mean[c]) / options.std[c];
  }
  const size_t stride = static_cast<size_t>(pixels.grid.columns * options.cell_size);
  const size_t plane = stride * static_cast<size_t>(pixels.grid.rows * options.cell_size);
  pixels.values.resize(plane * 3);
  if (static_cast<size_t>(image.width) * static_cast<size_t>(image.height) != plane) {
    for (size_t c = 0; c < 3; ++c) {
      const auto begin = pixels.values.begin() + static_cast<ptrdiff_t>(c * plane);
      std::fill(begin, begin + static_cast<ptrdiff_t>(plane), (options.pad_value - options.mean[c]) / options.std[c]);
    }
  }
  const size_t left = static_cast<size_t>(std::max(pixels.left, 0)), top = static_cast<size_t>(std::max(pixels.top, 0));
  const uint8_t* in = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    float* red = pixels.values.data() + (top + static_cast<size_t>(y)) * stride + left;
    float* green = red + plane;
    float* blue = green + plane;
    for (int x = 0; x < image.width; ++x, in += 3) {
      red[x] = table[0][in[0]];
      green[x] = table[1][in[1]];
      blue[x] = table[2][in[2]];
    }
  }
}

int64_t crop_offset(int64_t rest, CropOffset kind) {
  const int64_t half = rest / 2;
  return kind == CropOffset::kEven && rest % 2 == 1 && half % 2 == 1 ? half + 1 : half;
}

PixelValues preprocess_crop(const Image& image, const PreprocessOptions& options) {
  PixelValues pixels;
  pixels.grid = choose_grid(image.width, image.height, options);
  const auto [width, height] = resized_size(image.width, image.height, options);
  const Window window{crop_offset(width - options.crop_side, options.crop_offset),
                      crop_offset(height - options.crop_side, options.crop_offset), options.crop_side,
                      options.crop_side};
  // A line of a pixel's height can become longer than an int holds; its place is then as good as infinite.
  constexpr int64_t kFar = 1 << 30;
  pixels.width = static_cast<int>(std::min(width, kFar));
  pixels.height = static_cast<int>(std::min(height, kFar));
  pixels.left = -static_cast<int>(std::min(window.left, kFar / 2));
  pixels.top = -static_cast<int>(std::min(window.top, kFar / 2));
  write_normalised(resize_image(image, options.resample, width, height, window), options, pixels);
  return pixels;
}

}  // namespace

GridSize choose_grid(int width, int height, const PreprocessOptions& options) {
  check(options);
  SF_REQUIRE(width > 0 && height > 0, "preprocess: picture is empty, ", width, "x", height);
  if (options.crop || options.stretch)
    return {options.crop_side / options.cell_size, options.crop_side / options.cell_size};
  GridSize best;
  int64_t best_scale = 0;
  for (int rows = 1; rows <= std::min(options.max_side_cells, options.max_cells); ++rows) {
    for (int columns = 1; columns <= options.max_side_cells && rows * columns <= options.max_cells; ++columns) {
      // The factor by which the image grows to fit is min(columns / width, rows / height); times width * height it
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

DecodeOptions decode_options(const PreprocessOptions& options, std::function<void()> check) {
  return {.needed_size = [options](int width, int height) { return resized_size(width, height, options); },
          .check = std::move(check)};
}

PixelValues preprocess(const Image& image, const PreprocessOptions& options) {
  if (options.crop) return preprocess_crop(image, options);
  PixelValues pixels;
  pixels.grid = choose_grid(image.width, image.height, options);
  if (options.stretch)
    pixels.width = pixels.height = options.crop_side;
  else
    place(image.width, image.height, options, pixels);
  if (image.width == pixels.width && image.height == pixels.height) {
    write_normalised(image, options, pixels);
  } else {
    const Window whole{0, 0, pixels.width, pixels.height};
    write_normalised(resize_image(image, options.resample, pixels.width, pixels.height, whole), options, pixels);
  }
  return pixels;
}

}  // namespace sf
