// RGB bytes -> the model's pixel grid: resized with its geometry kept, padded to whole cells, normalised.
//
//   GridSize grid = choose_grid(width, height, options);      // from the header alone: decides the number of image tokens
//   PixelValues pixels = preprocess(image, options);
#pragma once

#include <cstdint>
#include <vector>

#include "engine/input/image.h"

namespace sf {

struct PreprocessOptions {
  int cell_size = 32;          // pixels of the resized picture along one image token's side
  int max_cells = 36;          // rows x columns of image tokens at most
  int max_side_cells = 9;      // neither side gets more cells than this
  float mean = 0.5f;           // per channel, of values in 0..1
  float std = 0.25f;
  float pad_value = 0.5f;      // what is outside the picture, in 0..1 before normalisation
};

struct GridSize {
  int rows = 0;
  int columns = 0;
  friend bool operator==(const GridSize&, const GridSize&) = default;
};

// The picture sits centred in rows*cell_size x columns*cell_size pixels. [left, left+width) x [top, top+height) is the
// picture, in grid pixels; the rest is padding. height and width are at least 1.
struct PixelValues {
  GridSize grid;
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<float> values;   // [3, rows*cell_size, columns*cell_size], normalised
};

// Effect: of all grids with rows*columns <= max_cells (sides <= max_side_cells) the one in which a picture of this aspect
// ratio covers the most pixels; ties go to fewer cells. Pure; a function of the aspect ratio only.
GridSize choose_grid(int width, int height, const PreprocessOptions& options);

// Effect: antialiased bicubic resize (PIL's: a = -0.5, support scaled when shrinking) to the largest size with the same
// aspect ratio that fits the grid, centred. Thread-safe.
PixelValues preprocess(const Image& image, const PreprocessOptions& options);

// The resize alone, to exactly width x height. Rounds and clamps to 8 bits between the passes as PIL does.
Image resize_bicubic(const Image& image, int width, int height);

}  // namespace sf
