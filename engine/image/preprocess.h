// RGB bytes -> the model's pixel grid, normalised: resized with its aspect ratio kept and padded to whole cells
// ("fit"), or resized by its shorter side and cropped to one square as timm and CLIP do ("crop"), or resized to that
// square whatever its own shape ("stretch").
//
//   GridSize grid = choose_grid(width, height, options);  // from the header alone: decides the number of image tokens
//   PixelValues pixels = preprocess(image, options);
//
// Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/image/image.h"
#include "engine/image/resample_taps.h"

namespace sf {

// Which offset a centre crop takes where an odd number of pixels is left over.
enum class CropOffset {
  kEven,   // the half is rounded to the even number: torchvision's CenterCrop, and with it timm
  kFloor,  // down: Hugging Face's CLIPImageProcessor
};

struct PreprocessOptions {
  int cell_size = 32;                              // pixels of the resized image along one cell's side
  int max_cells = 36;                              // rows x columns of cells at most
  int max_side_cells = 9;                          // neither side gets more cells than this
  std::array<float, 3> mean = {0.5f, 0.5f, 0.5f};  // of red, green, blue in 0..1
  std::array<float, 3> std = {0.25f, 0.25f, 0.25f};
  float pad_value = 0.5f;  // what is outside the image, in 0..1 before normalisation
  ResampleFilter resample = ResampleFilter::kBicubic;
  bool stretch = false;   // then only crop_side counts; not with crop
  bool crop = false;      // then these instead of max_cells and max_side_cells:
  int resize_side = 256;  // length of the shorter side; the longer becomes floor(resize_side * longer / shorter)
  int crop_side = 224;    // at most resize_side, a multiple of cell_size
  CropOffset crop_offset = CropOffset::kEven;
};

struct GridSize {
  int rows = 0;
  int columns = 0;
  friend bool operator==(const GridSize&, const GridSize&) = default;
};

// The image sits centred in rows*cell_size x columns*cell_size pixels. [left, left+width) x [top, top+height) is the
// image, in grid pixels; the rest is padding. height and width are at least 1. A cropped image is larger than the
// grid: left and top are then not positive.
struct PixelValues {
  GridSize grid;
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<float> values;  // [3, rows*cell_size, columns*cell_size], normalised
};

// Effect: "fit": of all grids with rows*columns <= max_cells (sides <= max_side_cells) the one in which an image of
// this aspect ratio covers the most pixels; ties go to fewer cells. "crop", "stretch": always the square. A
// function of the aspect ratio only.
GridSize choose_grid(int width, int height, const PreprocessOptions& options);

// Effect: antialiased resize (PIL's: bicubic with a = -0.5 or bilinear, support scaled when shrinking): to the largest
// size with the same aspect ratio that fits the grid, centred; or by the shorter side, and cropped.
PixelValues preprocess(const Image& image, const PreprocessOptions& options);

// For decode_image: of a large JPEG no more pixels are decoded than preprocess() makes use of.
DecodeOptions decode_options(const PreprocessOptions& options, std::function<void()> check = {});

// A rectangle of an image, in its pixels.
struct Window {
  int64_t left = 0, top = 0;
  int width = 0, height = 0;
};

// The resize alone, to exactly width x height. Rounds and clamps to 8 bits between the passes, whose order is PIL 13's.
Image resize_bicubic(const Image& image, int width, int height);
// With either filter, and only the part `window` of the width x height pixels is computed. REQUIRES: the window lies in
// them.
Image resize_image(const Image& image, ResampleFilter filter, int64_t width, int64_t height, const Window& window);

}  // namespace sf
