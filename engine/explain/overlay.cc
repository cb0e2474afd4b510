#include "engine/explain/overlay.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/image/preprocess.h"

namespace sf {
namespace {

constexpr int kGap = 8;         // between panels
constexpr int kUsageCell = 32;  // of the usage map
constexpr int kLegend = 8;      // height of its strip of the experts' colours
constexpr Rgb8 kPaper = {255, 255, 255};

Image blank(int width, int height, Rgb8 colour) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

void blend(Image& image, int x, int y, Rgb8 colour, double alpha) {
  uint8_t* pixel = image.pixels.data() + (static_cast<size_t>(y) * image.width + x) * 3;
  for (size_t c = 0; c < 3; ++c)
    pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] * (1 - alpha) + colour[c] * alpha));
}

void grey_out(Image& image) {
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    const double grey = 0.299 * image.pixels[i] + 0.587 * image.pixels[i + 1] + 0.114 * image.pixels[i + 2];
    for (size_t c = 0; c < 3; ++c) image.pixels[i + c] = static_cast<uint8_t>(std::lround(grey));
  }
}

void fill(Image& image, int left, int top, int width, int height, Rgb8 colour) {
  for (int y = top; y < top + height; ++y) {
    for (int x = left; x < left + width; ++x) blend(image, x, y, colour, 1);
  }
}

void paste(Image& into, const Image& from, int left) {
  for (int y = 0; y < from.height; ++y) {
    const uint8_t* row = from.pixels.data() + static_cast<size_t>(y) * from.width * 3;
    std::copy(row, row + from.width * 3, into.pixels.data() + (static_cast<size_t>(y) * into.width + left) * 3);
  }
}

// The image at the overlay's size, and where its pixels lie in the grid, in cells.
class Canvas {
 public:
  Canvas(const Image& source, const Explanation& e, const OverlayOptions& options) : e_(e) {
    const double scale = double(options.long_side) / std::max(source.width, source.height);
    const auto side = [&](int pixels) { return std::max(1, static_cast<int>(std::lround(pixels * scale))); };
    image = resize_bicubic(source, side(source.width), side(source.height));
  }

  double column_of(int x) const { return in_cells(x, image.width, e_.image.left, e_.image.scaled_width); }
  double row_of(int y) const { return in_cells(y, image.height, e_.image.top, e_.image.scaled_height); }
  // Whether (x, y) is within `width` pixels of an edge of its cell.
  bool near_edge(int x, int y, int width) const {
    return std::floor(column_of(x)) != std::floor(column_of(x + width)) ||
           std::floor(row_of(y)) != std::floor(row_of(y + width)) ||
           std::floor(column_of(x)) != std::floor(column_of(x - width)) ||
           std::floor(row_of(y)) != std::floor(row_of(y - width));
  }

  Image image;

 private:
  double in_cells(int pixel, int size, int offset, int scaled) const {
    return (offset + (pixel + 0.5) * scaled / size) / e_.image.cell_size;
  }
  const Explanation& e_;
};

// Bilinear between cell centres; flat beyond the outermost ones.
double interpolate(const std::vector<float>& cells, int rows, int columns, double row, double column) {
  const double y = std::clamp(row - 0.5, 0.0, rows - 1.0), x = std::clamp(column - 0.5, 0.0, columns - 1.0);
  const int top = std::min(static_cast<int>(y), std::max(0, rows - 2)),
            left = std::min(static_cast<int>(x), std::max(0, columns - 2));
  const int bottom = std::min(top + 1, rows - 1), right = std::min(left + 1, columns - 1);
  const double down = y - top, across = x - left;
  const auto cell = [&](int r, int c) { return double(cells[static_cast<size_t>(r) * columns + c]); };
  return (cell(top, left) * (1 - across) + cell(top, right) * across) * (1 - down) +
         (cell(bottom, left) * (1 - across) + cell(bottom, right) * across) * down;
}

int index_in_grid(const Explanation& e, double row, double column) {
  const int r = std::clamp(static_cast<int>(row), 0, e.rows - 1),
            c = std::clamp(static_cast<int>(column), 0, e.columns - 1);
  return r * e.columns + c;
}

}  // namespace

Image heatmap_overlay(const Image& image, const Explanation& e, const std::vector<float>& heatmap,
                      const OverlayOptions& options) {
  SF_CHECK(heatmap.size() == static_cast<size_t>(e.rows) * e.columns, "overlay: the heatmap is not of this grid");
  Canvas canvas(image, e, options);
  const auto peak = std::max_element(heatmap.begin(), heatmap.end());
  const int peak_cell = static_cast<int>(peak - heatmap.begin());
  for (int y = 0; y < canvas.image.height; ++y) {
    for (int x = 0; x < canvas.image.width; ++x) {
      const double row = canvas.row_of(y), column = canvas.column_of(x);
      const bool seen = row >= 0 && column >= 0 && row < e.rows && column < e.columns;  // a crop leaves the edges out
      const double share = seen ? interpolate(heatmap, e.rows, e.columns, row, column) : 0;
      const double value = share / std::max(double(*peak), 1e-12);
      blend(canvas.image, x, y, heat_colour(value), 0.6);
      if (seen && index_in_grid(e, row, column) == peak_cell && canvas.near_edge(x, y, 2))
        blend(canvas.image, x, y, kPaper, 1);
    }
  }
  return canvas.image;
}

std::vector<float> mean_heatmap(const Explanation& e) {
  std::vector<float> mean;
  for (const ExplainedToken& token : e.tokens) {
    mean.resize(token.heatmap.size());
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += token.heatmap[i] / static_cast<float>(e.tokens.size());
  }
  return mean;
}

std::string explanation_png(std::string_view encoded, const Explanation& e, int token) {
  const int count = static_cast<int>(e.tokens.size());
  if (token >= count) throw invalid_argument("token", "token: the answer has ", count, " tokens, got ", token);
  constexpr int64_t kNoLimit = int64_t{1} << 40;
  constexpr int64_t kLongSide = OverlayOptions{}.long_side;
  const Image image =
      decode_image(encoded, {.max_bytes = kNoLimit, .max_pixels = kNoLimit, .max_decode_bytes = kNoLimit},
                   {.needed_size =
                        [](int, int) {
                          return ImageSize{kLongSide, kLongSide};
                        },
                    .check = {}});
  if (count == 0) return encode_png(image);
  return encode_png(heatmap_overlay(image, e, token < 0 ? mean_heatmap(e) : e.tokens[token].heatmap));
}

Image expert_overlay(const Image& image, const Explanation& e, const OverlayOptions& options) {
  std::vector<const TokenRouting*> cells;
  for (const TokenRouting& token : e.routing) {
    if (token.image) cells.push_back(&token);
  }
  SF_CHECK(cells.size() == static_cast<size_t>(e.rows) * e.columns, "overlay: the routing is not of this grid");
  const int layers = static_cast<int>(cells[0]->ids.size());
  Canvas plain(image, e, options);
  grey_out(plain.image);  // so that colours mean experts only
  Image out = blank(layers * (plain.image.width + kGap) - kGap, plain.image.height, kPaper);
  for (int layer = 0; layer < layers; ++layer) {
    Canvas canvas = plain;
    for (int y = 0; y < canvas.image.height; ++y) {
      for (int x = 0; x < canvas.image.width; ++x) {
        const TokenRouting& token = *cells[index_in_grid(e, canvas.row_of(y), canvas.column_of(x))];
        if (token.ids[layer].empty()) continue;  // a dense layer stays grey
        const bool edge = canvas.near_edge(x, y, 1);
        blend(canvas.image, x, y, expert_colour(token.ids[layer][0], e.num_experts), edge ? 1.0 : 0.6);
      }
    }
    paste(out, canvas.image, layer * (plain.image.width + kGap));
  }
  return out;
}

std::vector<std::vector<double>> expert_shares(const Explanation& e, bool image) {
  std::vector<std::vector<double>> shares;
  for (const TokenRouting& token : e.routing) {
    if (token.image != image) continue;
    shares.resize(token.ids.size(), std::vector<double>(e.num_experts));
    for (size_t layer = 0; layer < token.ids.size(); ++layer) {
      for (int expert : token.ids[layer]) shares[layer][expert] += 1;
    }
  }
  for (auto& layer : shares) {
    double total = 0;
    for (double count : layer) total += count;
    for (double& count : layer) count /= std::max(total, 1.0);
  }
  return shares;
}

Image expert_usage_map(const Explanation& e) {
  const auto image_shares = expert_shares(e, true), text_shares = expert_shares(e, false);
  const int layers = static_cast<int>(image_shares.size()), panel = e.num_experts * kUsageCell;
  Image out = blank(2 * panel + 3 * kGap, layers * kUsageCell + 2 * kGap + kLegend, kPaper);
  double largest = 1e-12;
  for (const auto* shares : {&image_shares, &text_shares}) {
    for (const auto& layer : *shares) largest = std::max(largest, *std::max_element(layer.begin(), layer.end()));
  }
  int left = kGap;
  for (const auto* shares : {&image_shares, &text_shares}) {
    for (int expert = 0; expert < e.num_experts; ++expert) {
      fill(out, left + expert * kUsageCell, kGap, kUsageCell - 1, kLegend - 1, expert_colour(expert, e.num_experts));
      for (int layer = 0; layer < layers; ++layer) {
        fill(out, left + expert * kUsageCell, kGap + kLegend + layer * kUsageCell, kUsageCell - 1, kUsageCell - 1,
             heat_colour((*shares)[layer][expert] / largest));
      }
    }
    left += panel + kGap;
  }
  return out;
}

}  // namespace sf
