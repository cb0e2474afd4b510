#include "engine/image/preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "engine/base/error.h"
#include "tests/engine/image/image_fixtures.h"

namespace sf {
namespace {

// The definition, written the slow way: for each output pixel the normalised kernel over every input pixel, rounded to
// 8 bits after the horizontal pass and again after the vertical one. Weights rounded to 22 bits as PIL does.
double keys_cubic(double x) {
  x = std::fabs(x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  if (x < 2) return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
  return 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::fabs(x)); }

using Kernel = double (*)(double);

std::vector<int> resize_line(Kernel kernel, const std::vector<int>& in, int size) {
  std::vector<int> out;
  const double scale = static_cast<double>(in.size()) / size;
  const double stretch = std::max(1.0, scale);
  for (int i = 0; i < size; ++i) {
    const double center = (i + 0.5) * scale;
    double sum = 0, total = 0;
    std::vector<double> weights(in.size());
    for (size_t x = 0; x < in.size(); ++x) {
      weights[x] = kernel((static_cast<double>(x) + 0.5 - center) / stretch);
      total += weights[x];
    }
    for (size_t x = 0; x < in.size(); ++x) sum += std::round(weights[x] / total * (1 << 22)) * in[x];
    out.push_back(std::clamp(static_cast<int>(std::floor(sum / (1 << 22) + 0.5)), 0, 255));
  }
  return out;
}

Image resize_by_definition(Kernel kernel, const Image& image, int width, int height) {
  Image columns{width, image.height, std::vector<uint8_t>(static_cast<size_t>(width * image.height * 3))};
  for (int y = 0; y < image.height; ++y) {
    for (int c = 0; c < 3; ++c) {
      std::vector<int> line;
      for (int x = 0; x < image.width; ++x)
        line.push_back(image.pixels[static_cast<size_t>((y * image.width + x) * 3 + c)]);
      line = resize_line(kernel, line, width);
      for (int x = 0; x < width; ++x)
        columns.pixels[static_cast<size_t>((y * width + x) * 3 + c)] =
            static_cast<uint8_t>(line[static_cast<size_t>(x)]);
    }
  }
  Image out{width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  for (int x = 0; x < width * 3; ++x) {
    std::vector<int> line;
    for (int y = 0; y < image.height; ++y) line.push_back(columns.pixels[static_cast<size_t>(y * width * 3 + x)]);
    line = resize_line(kernel, line, height);
    for (int y = 0; y < height; ++y)
      out.pixels[static_cast<size_t>(y * width * 3 + x)] = static_cast<uint8_t>(line[static_cast<size_t>(y)]);
  }
  return out;
}

Image busy(int width, int height) {
  return fixtures::make_image(width, height, [](int x, int y, int c) {
    return static_cast<uint8_t>((x / 3 + y / 2) % 2 == 0 ? (x * 37 + y * 91 + c * 53) : 255 - 11 * c);
  });
}

TEST(ResizeTest, AgreesWithTheDefinition) {
  const std::vector<std::array<int, 4>> sizes = {{30, 20, 19, 13}, {7, 5, 21, 30}, {64, 48, 9, 60},
                                                 {33, 17, 32, 16}, {40, 40, 5, 5}, {5, 40, 6, 41}};
  for (size_t n = 0; n < 2 * sizes.size(); ++n) {
    const auto& [width, height, out_width, out_height] = sizes[n / 2];
    const ResampleFilter filter = n % 2 == 0 ? ResampleFilter::kBicubic : ResampleFilter::kBilinear;
    const Image image = busy(width, height);
    const Image fast = resize_image(image, filter, out_width, out_height, Window{0, 0, out_width, out_height});
    const Image slow = resize_by_definition(n % 2 == 0 ? keys_cubic : triangle, image, out_width, out_height);
    int largest = 0, unequal = 0;
    for (size_t i = 0; i < slow.pixels.size(); ++i) {
      const int difference = std::abs(fast.pixels[i] - slow.pixels[i]);
      largest = std::max(largest, difference);
      unequal += difference != 0;
    }
    // Our weights are floats and PIL's have 22 bits: only a sum within 1e-4 of a half can round the other way. A
    // triangle's weights are simple fractions, whose sums often are halves.
    EXPECT_LE(largest, 1);
    EXPECT_LE(unequal, static_cast<int>(slow.pixels.size() / (filter == ResampleFilter::kBicubic ? 500 : 20)))
        << width << "x" << height << " to " << out_width << "x" << out_height;
  }
}

TEST(ResizeTest, DoublingAStepByHand) {
  // 0 255 -> 4 pixels. Centres at -0.25, 0.25, 0.75, 1.25 of input pixel centres 0 and 1; weights of the second pixel,
  // normalised over the two: k(1.25) / (k(0.25) + k(1.25)) = -0.0703125 / 0.796875, and 0.2265625 / 1.09375.
  const Image step = fixtures::make_image(2, 1, [](int x, int, int) { return static_cast<uint8_t>(x * 255); });
  const Image out = resize_bicubic(step, 4, 1);
  EXPECT_EQ(out.pixels[0], 0);    // -22.5, clamped
  EXPECT_EQ(out.pixels[3], 53);   // 52.82
  EXPECT_EQ(out.pixels[6], 202);  // 202.18
  EXPECT_EQ(out.pixels[9], 255);
}

TEST(ResizeTest, ConstantStaysConstantAtEverySize) {
  for (const int value : {0, 1, 127, 254, 255}) {
    const Image image = fixtures::make_image(23, 11, [&](int, int, int) { return static_cast<uint8_t>(value); });
    for (const int size : {1, 2, 10, 11, 12, 50}) {
      const Image out = resize_bicubic(image, size, size);
      EXPECT_EQ(std::count(out.pixels.begin(), out.pixels.end(), value), size * size * 3);
    }
  }
}

TEST(ResizeTest, SameSizeChangesNothing) {
  const Image image = busy(9, 14);
  EXPECT_EQ(resize_bicubic(image, 9, 14).pixels, image.pixels);
}

TEST(ResizeTest, VeryWideAndVeryHighImages) {
  const Image wide =
      fixtures::make_image(20000, 2, [](int x, int, int) { return static_cast<uint8_t>(x < 10000 ? 10 : 200); });
  const Image out = resize_bicubic(wide, 100, 1);
  EXPECT_EQ(out.pixels[0], 10);
  EXPECT_EQ(out.pixels[40 * 3], 10);
  EXPECT_EQ(out.pixels[60 * 3], 200);
  const Image high =
      fixtures::make_image(1, 30000, [](int, int y, int) { return static_cast<uint8_t>(y < 15000 ? 10 : 200); });
  EXPECT_EQ(resize_bicubic(high, 1, 10).pixels[9 * 3], 200);
}

TEST(ResizeTest, RefusesAnEmptySize) {
  EXPECT_THROW(resize_bicubic(busy(2, 2), 0, 4), Error);
  EXPECT_THROW(resize_bicubic(Image{}, 4, 4), Error);
}

TEST(ChooseGridTest, SquaresAndKnownRatios) {
  const PreprocessOptions options;  // 36 cells, 9 a side
  EXPECT_EQ(choose_grid(100, 100, options), (GridSize{6, 6}));
  EXPECT_EQ(choose_grid(1, 1, options), (GridSize{6, 6}));
  EXPECT_EQ(choose_grid(200, 100, options), (GridSize{4, 8}));
  EXPECT_EQ(choose_grid(100, 200, options), (GridSize{8, 4}));
  EXPECT_EQ(choose_grid(16'000'000, 1, options), (GridSize{1, 9}));
  EXPECT_EQ(choose_grid(1, 16'000'000, options), (GridSize{9, 1}));
}

TEST(ChooseGridTest, DependsOnTheRatioOnlyAndCoversMost) {
  const PreprocessOptions options;
  for (int width = 1; width <= 40; ++width) {
    for (int height = 1; height <= 40; ++height) {
      const GridSize grid = choose_grid(width, height, options);
      EXPECT_EQ(grid, choose_grid(width * 97, height * 97, options));
      EXPECT_LE(grid.rows * grid.columns, options.max_cells);
      const double scale = std::min(static_cast<double>(grid.columns) / width, static_cast<double>(grid.rows) / height);
      for (int rows = 1; rows <= 9; ++rows) {
        for (int columns = 1; columns <= 9 && rows * columns <= 36; ++columns) {
          EXPECT_LE(std::min(static_cast<double>(columns) / width, static_cast<double>(rows) / height),
                    scale * (1 + 1e-12));
        }
      }
    }
  }
}

TEST(ChooseGridTest, RefusesEmptyImagesAndOptions) {
  EXPECT_THROW(choose_grid(0, 5, {}), Error);
  EXPECT_THROW(choose_grid(5, 5, {.cell_size = 0}), Error);
}

TEST(PreprocessTest, KeepsTheGeometryAndPadsTheRest) {
  // White images: the padding must not be white, the image must keep its ratio within half a pixel.
  const PixelValues pixels = preprocess(fixtures::make_image(300, 200, [](int, int, int) { return uint8_t{255}; }), {});
  EXPECT_EQ(pixels.grid, (GridSize{5, 7}));
  EXPECT_EQ(pixels.width, 224);
  EXPECT_EQ(pixels.height, 149);  // 224 * 200 / 300 = 149.3
  EXPECT_EQ(pixels.left, 0);
  EXPECT_EQ(pixels.top, 5);  // (160 - 149) / 2

  const PixelValues odd = preprocess(fixtures::make_image(90, 70, [](int, int, int) { return uint8_t{255}; }), {});
  EXPECT_EQ(odd.grid, (GridSize{5, 7}));
  const size_t stride = static_cast<size_t>(odd.grid.columns) * 32;
  ASSERT_EQ(odd.values.size(), 3 * stride * static_cast<size_t>(odd.grid.rows) * 32);
  EXPECT_NEAR(static_cast<double>(odd.width) / odd.height, 90.0 / 70.0, 0.01);
  size_t white = 0, padding = 0;
  for (const float value : odd.values) {
    white += value == 2.0f;    // (1 - 0.5) / 0.25
    padding += value == 0.0f;  // (0.5 - 0.5) / 0.25
  }
  EXPECT_EQ(white, static_cast<size_t>(odd.width * odd.height * 3));
  EXPECT_EQ(white + padding, odd.values.size());
}

TEST(PreprocessTest, WithoutResizingTheValuesAreTheNormalisedPixels) {
  const Image image = busy(192, 192);
  const PixelValues pixels = preprocess(image, {.mean = {0.25f, 0.25f, 0.25f}, .std = {0.5f, 0.5f, 0.5f}});
  for (const auto& [x, y, c] : std::vector<std::array<int, 3>>{{0, 0, 0}, {191, 0, 1}, {17, 100, 2}, {191, 191, 0}}) {
    const float expected =
        (static_cast<float>(image.pixels[static_cast<size_t>((y * 192 + x) * 3 + c)]) / 255.0f - 0.25f) / 0.5f;
    EXPECT_FLOAT_EQ(pixels.values[static_cast<size_t>((c * 192 + y) * 192 + x)], expected);
  }
}

// A crop of 8 px after a resize to 9; the model's values are grey levels 0..1.
PreprocessOptions small_crop(CropOffset offset) {
  PreprocessOptions options;
  options.crop = true;
  options.cell_size = 4;
  options.resize_side = 9;
  options.crop_side = 8;
  options.crop_offset = offset;
  options.mean = {0, 0, 0};
  options.std = {1, 1, 1};
  return options;
}

TEST(CropTest, IsTheCentreOfTheImageResizedByItsShorterSide) {
  for (const auto& [width, height] :
       std::vector<std::pair<int, int>>{{9, 9}, {14, 9}, {9, 14}, {31, 20}, {20, 31}, {5, 7}}) {
    const Image image = busy(width, height);
    for (const CropOffset kind : {CropOffset::kEven, CropOffset::kFloor}) {
      const PixelValues pixels = preprocess(image, small_crop(kind));
      EXPECT_EQ(pixels.grid, (GridSize{2, 2}));
      const int wide = width <= height ? 9 : 9 * width / height, high = height <= width ? 9 : 9 * height / width;
      EXPECT_EQ(std::pair(pixels.width, pixels.height), std::pair(wide, high));
      const Image whole = resize_bicubic(image, wide, high);
      for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < 8; ++x) {
          const size_t from = static_cast<size_t>(((y - pixels.top) * wide + x - pixels.left) * 3);
          for (size_t c = 0; c < 3; ++c) {
            ASSERT_FLOAT_EQ(pixels.values[c * 64 + static_cast<size_t>(y * 8 + x)],
                            static_cast<float>(whole.pixels[from + c]) / 255.0f)
                << width << "x" << height << " at " << x << "," << y;
          }
        }
      }
    }
  }
}

TEST(CropTest, AnOddRestIsHalvedToTheEvenNumberOrDown) {
  struct Case {
    int width, even, floor;  // the rest is width - 8 pixels
  };
  for (const Case& c : {Case{9, 0, 0}, {10, 1, 1}, {11, 2, 1}, {12, 2, 2}, {13, 2, 2}, {15, 4, 3}, {17, 4, 4}}) {
    const Image image = busy(c.width, 9);  // of the resize's height: its width stays
    EXPECT_EQ(preprocess(image, small_crop(CropOffset::kEven)).left, -c.even) << c.width;
    EXPECT_EQ(preprocess(image, small_crop(CropOffset::kFloor)).left, -c.floor) << c.width;
  }
}

TEST(CropTest, EveryImageHasTheSameGridAndThinOnesCostNoMemory) {
  for (const auto& [width, height] :
       std::vector<std::pair<int, int>>{{1, 1}, {16'000'000, 1}, {1, 16'000'000}, {3, 4000}}) {
    EXPECT_EQ(choose_grid(width, height, small_crop(CropOffset::kEven)), (GridSize{2, 2}));
  }
  const Image line =
      fixtures::make_image(1'000'000, 1, [](int x, int, int) { return static_cast<uint8_t>(x < 500'000 ? 20 : 220); });
  PreprocessOptions options = small_crop(CropOffset::kFloor);
  options.resize_side = 4000;  // the whole line would be 4e9 pixels long
  const PixelValues pixels = preprocess(line, options);
  for (const float value : pixels.values) ASSERT_NEAR(value, 120.0f / 255.0f, 1.0f / 255.0f);  // midway of the edge
  EXPECT_EQ(pixels.values.size(), 3u * 64);
}

TEST(CropTest, ChannelsHaveTheirOwnMeanAndStd) {
  PreprocessOptions options = small_crop(CropOffset::kEven);
  options.mean = {0.1f, 0.2f, 0.3f};
  options.std = {0.5f, 0.25f, 0.125f};
  const PixelValues pixels = preprocess(
      fixtures::make_image(9, 9, [](int, int, int c) { return static_cast<uint8_t>(51 * (c + 1)); }), options);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_FLOAT_EQ(pixels.values[c * 64], (0.2f * static_cast<float>(c + 1) - options.mean[c]) / options.std[c]);
  }
}

TEST(CropTest, RefusesACropThatIsNoWholeNumberOfCellsOrTooLarge) {
  PreprocessOptions options = small_crop(CropOffset::kEven);
  options.cell_size = 3;
  EXPECT_THROW(preprocess(busy(9, 9), options), Error);
  options = small_crop(CropOffset::kEven);
  options.resize_side = 7;
  EXPECT_THROW(choose_grid(9, 9, options), Error);
}

TEST(PreprocessTest, OnePixelAndThinImages) {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{1, 1}, {1, 50}, {50, 1}, {1, 2}, {999, 1}}) {
    const PixelValues pixels = preprocess(busy(width, height), {});
    EXPECT_GE(pixels.width, 1);
    EXPECT_GE(pixels.height, 1);
    EXPECT_LE(pixels.left + pixels.width, pixels.grid.columns * 32);
    EXPECT_LE(pixels.top + pixels.height, pixels.grid.rows * 32);
  }
}

}  // namespace
}  // namespace sf
