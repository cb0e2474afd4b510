// Two passes, each an 8-bit image from an 8-bit image. Inner loops run over independent lanes with a fixed count or
// a plain stride, so that the compiler vectorises them at the baseline instruction set.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/image/preprocess.h"
#include "engine/image/resample_taps.h"

namespace sf {
namespace {

constexpr int kChannels = 3;
constexpr int kBlockRows = 16;
constexpr int kLanes = kBlockRows * kChannels;
// Above it the block of the horizontal pass would leave the caches (and grow without bound).
constexpr int kMaxBlockWidth = 8192;

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f)); }

// Transposes up to kBlockRows rows into [width][kLanes] floats: lane = row * 3 + channel.
void load_block(const Image& image, int first_row, int num_rows, std::vector<float>& block) {
  const size_t width = static_cast<size_t>(image.width);
  for (int r = 0; r < num_rows; ++r) {
    const uint8_t* row = image.pixels.data() + static_cast<size_t>(first_row + r) * width * kChannels;
    float* out = block.data() + r * kChannels;
    for (size_t x = 0; x < width; ++x, row += kChannels, out += kLanes) {
      out[0] = row[0];
      out[1] = row[1];
      out[2] = row[2];
    }
  }
}

void apply_block(const ResampleTaps& taps, const float* block, std::array<uint8_t, kLanes>& bytes) {
  std::array<float, kLanes> sum{};
  const float* in = block + static_cast<size_t>(taps.first) * kLanes;
  for (const float weight : taps.weights) {
    for (int i = 0; i < kLanes; ++i) sum[static_cast<size_t>(i)] += weight * in[i];
    in += kLanes;
  }
  for (size_t i = 0; i < kLanes; ++i) bytes[i] = to_byte(sum[i]);
}

// Columns [left, left + width) of the image resized to full_width columns.
struct Columns {
  ResampleFilter filter;
  int64_t full_width, left;
  int width;
};

Image resize_columns_in_blocks(const Image& image, const Columns& columns) {
  const int width = columns.width;
  std::vector<ResampleTaps> taps(static_cast<size_t>(width));
  for (int x = 0; x < width; ++x)
    compute_taps(columns.filter, columns.left + x, image.width, columns.full_width, taps[static_cast<size_t>(x)]);

  Image out{width, image.height,
            std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(image.height) * kChannels)};
  std::vector<float> block(static_cast<size_t>(image.width) * kLanes);
  std::array<uint8_t, kLanes> bytes;
  const size_t out_stride = static_cast<size_t>(width) * kChannels;
  for (int y = 0; y < image.height; y += kBlockRows) {
    const int num_rows = std::min(kBlockRows, image.height - y);
    load_block(image, y, num_rows, block);
    for (size_t x = 0; x < taps.size(); ++x) {
      apply_block(taps[x], block.data(), bytes);
      uint8_t* to = out.pixels.data() + static_cast<size_t>(y) * out_stride + x * kChannels;
      for (int r = 0; r < num_rows; ++r)
        std::memcpy(to + static_cast<size_t>(r) * out_stride, &bytes[static_cast<size_t>(r) * kChannels], kChannels);
    }
  }
  return out;
}

// For very wide images: the taps of one output column at a time, no working memory beyond them.
Image resize_columns_directly(const Image& image, const Columns& columns) {
  const int width = columns.width;
  Image out{width, image.height,
            std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(image.height) * kChannels)};
  ResampleTaps taps;
  for (int x = 0; x < width; ++x) {
    compute_taps(columns.filter, columns.left + x, image.width, columns.full_width, taps);
    for (int y = 0; y < image.height; ++y) {
      const size_t row = static_cast<size_t>(y);
      const uint8_t* in =
          image.pixels.data() + (row * static_cast<size_t>(image.width) + static_cast<size_t>(taps.first)) * kChannels;
      std::array<float, kChannels> sum{};
      for (const float weight : taps.weights) {
        for (size_t c = 0; c < kChannels; ++c) sum[c] += weight * in[c];
        in += kChannels;
      }
      uint8_t* to = out.pixels.data() + (row * static_cast<size_t>(width) + static_cast<size_t>(x)) * kChannels;
      for (size_t c = 0; c < kChannels; ++c) to[c] = to_byte(sum[c]);
    }
  }
  return out;
}

// Rows [top, top + height) of the image resized to full_height rows.
Image resize_rows(const Image& image, ResampleFilter filter, int64_t full_height, int64_t top, int height) {
  const size_t stride = static_cast<size_t>(image.width) * kChannels;
  Image out{image.width, height, std::vector<uint8_t>(stride * static_cast<size_t>(height))};
  ResampleTaps taps;
  std::vector<float> sum(stride);
  for (int y = 0; y < height; ++y) {
    compute_taps(filter, top + y, image.height, full_height, taps);
    std::fill(sum.begin(), sum.end(), 0.0f);
    const uint8_t* in = image.pixels.data() + static_cast<size_t>(taps.first) * stride;
    for (const float weight : taps.weights) {
      for (size_t i = 0; i < stride; ++i) sum[i] += weight * in[i];
      in += stride;
    }
    uint8_t* to = out.pixels.data() + static_cast<size_t>(y) * stride;
    for (size_t i = 0; i < stride; ++i) to[i] = to_byte(sum[i]);
  }
  return out;
}

// The order shows where the first pass clips what overshoots. PIL's, since its version 13: rows first where the image
// loses more than twice as many rows as columns.
bool rows_come_first(const Image& image, int64_t width, int64_t height) {
  return height < image.height && image.height - height > 2 * (image.width - width);
}

}  // namespace

Image resize_bicubic(const Image& image, int width, int height) {
  return resize_image(image, ResampleFilter::kBicubic, width, height, Window{0, 0, width, height});
}

Image resize_image(const Image& image, ResampleFilter filter, int64_t width, int64_t height, const Window& window) {
  SF_REQUIRE(window.width > 0 && window.height > 0, "resize: size must be positive, got ", window.width, "x",
             window.height);
  SF_REQUIRE(image.width > 0 && image.height > 0, "resize: picture is empty");
  SF_REQUIRE(window.left >= 0 && window.top >= 0 && window.left + window.width <= width &&
                 window.top + window.height <= height,
             "resize: the window lies outside of ", width, "x", height);
  SF_CHECK(image.pixels.size() == static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * kChannels,
           "resize: pixels do not match the size");
  const auto with_columns = [&](const Image& in) {
    if (width == in.width && window.width == in.width) return in;
    const Columns columns{filter, width, window.left, window.width};
    return in.width <= kMaxBlockWidth ? resize_columns_in_blocks(in, columns) : resize_columns_directly(in, columns);
  };
  const auto with_rows = [&](const Image& in) {
    if (height == in.height && window.height == in.height) return in;
    return resize_rows(in, filter, height, window.top, window.height);
  };
  return rows_come_first(image, width, height) ? with_columns(with_rows(image)) : with_rows(with_columns(image));
}

}  // namespace sf
