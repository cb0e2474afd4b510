#include "engine/explain/overlay.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "engine/base/error.h"
#include "engine/image/preprocess.h"

namespace sf {
namespace {

constexpr int kGap = 8;         // between panels
constexpr int kUsageCell = 32;  // of the usage map
constexpr int kLegend = 8;      // height of its strip of the experts' colours
constexpr double kTint = 0.6;   // weight of a colour over the image

constexpr std::array<Rgb8, 8> kCategories = {{{230, 159, 0},
                                              {86, 180, 233},
                                              {0, 158, 115},
                                              {240, 228, 66},
                                              {0, 114, 178},
                                              {213, 94, 0},
                                              {204, 121, 167},
                                              {120, 120, 120}}};

cv::Mat3b pixels_of(Image& image) {
  return {image.height, image.width, reinterpret_cast<cv::Vec3b*>(image.pixels.data())};
}

cv::Scalar scalar(Rgb8 colour) { return {double(colour[0]), double(colour[1]), double(colour[2])}; }

Image white(int width, int height) {
  return {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 255)};
}

Image at_overlay_size(const Image& source, const OverlayOptions& options) {
  const double scale = double(options.long_side) / std::max(source.width, source.height);
  const auto side = [&](int pixels) { return std::max(1, static_cast<int>(std::lround(pixels * scale))); };
  return resize_bicubic(source, side(source.width), side(source.height));
}

// Pixels of an overlay that show a range of the grid's cells; may reach outside where the grid has padding.
cv::Rect cells_in(const Image& overlay, const Explanation& e, cv::Rect cells) {
  const auto pixel = [&](int cell, int offset, int scaled, int size) {
    return cvRound((double(cell) * e.image.cell_size - offset) * size / scaled);
  };
  const auto x = [&](int column) { return pixel(column, e.image.left, e.image.scaled_width, overlay.width); };
  const auto y = [&](int row) { return pixel(row, e.image.top, e.image.scaled_height, overlay.height); };
  return {cv::Point(x(cells.x), y(cells.y)), cv::Point(x(cells.br().x), y(cells.br().y))};
}

cv::Rect cell_in(const Image& overlay, const Explanation& e, int index) {
  return cells_in(overlay, e, {index % e.columns, index / e.columns, 1, 1});
}

}  // namespace

Rgb8 heat_colour(double value) {
  cv::Mat3b bgr;
  cv::applyColorMap(cv::Mat1b(1, 1, cv::saturate_cast<uint8_t>(255 * value)), bgr, cv::COLORMAP_INFERNO);
  return {bgr(0)[2], bgr(0)[1], bgr(0)[0]};
}

Rgb8 expert_colour(int expert, int num_experts) {
  if (num_experts <= static_cast<int>(kCategories.size()))
    return kCategories[static_cast<size_t>(expert) % kCategories.size()];
  const double turn = double(expert) / double(num_experts);
  Rgb8 out{};
  for (size_t c = 0; c < 3; ++c)
    out[c] = cv::saturate_cast<uint8_t>(140 + 110 * std::cos(6.283185307179586 * (turn - double(c) / 3)));
  return out;
}

Image heatmap_overlay(const Image& image, const Explanation& e, const std::vector<float>& heatmap,
                      const OverlayOptions& options) {
  SF_CHECK(heatmap.size() == static_cast<size_t>(e.rows) * e.columns, "overlay: the heatmap is not of this grid");
  const auto peak = std::max_element(heatmap.begin(), heatmap.end());
  Image overlay = at_overlay_size(image, options);
  cv::Mat3b pixels = pixels_of(overlay);

  const cv::Rect grid = cells_in(overlay, e, {0, 0, e.columns, e.rows});
  const cv::Rect seen = grid & cv::Rect({}, pixels.size());  // a crop leaves the edges out
  cv::Mat1b levels(pixels.size(), uint8_t{0});
  if (!seen.empty()) {
    cv::Mat smooth;
    cv::resize(cv::Mat1f(e.rows, e.columns, const_cast<float*>(heatmap.data())), smooth, grid.size(), 0, 0,
               cv::INTER_LINEAR);
    smooth(seen - grid.tl()).convertTo(levels(seen), CV_8U, 255 / std::max(double(*peak), 1e-12));
  }
  cv::Mat3b heat;
  cv::applyColorMap(levels, heat, cv::COLORMAP_INFERNO);
  cv::cvtColor(heat, heat, cv::COLOR_BGR2RGB);
  cv::addWeighted(pixels, 1 - kTint, heat, kTint, 0, pixels);

  const cv::Rect frame = cell_in(overlay, e, static_cast<int>(peak - heatmap.begin()));
  cv::rectangle(pixels, frame.tl() + cv::Point(1, 1), frame.br() - cv::Point(2, 2), cv::Scalar::all(255), 2);
  return overlay;
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
  Image overlay = at_overlay_size(image, options);
  cv::Mat grey;  // so that colours mean experts only
  cv::cvtColor(pixels_of(overlay), grey, cv::COLOR_RGB2GRAY);
  cv::cvtColor(grey, grey, cv::COLOR_GRAY2RGB);

  Image out = white(layers * (overlay.width + kGap) - kGap, overlay.height);
  for (int layer = 0; layer < layers; ++layer) {
    cv::Mat panel = pixels_of(out)({layer * (overlay.width + kGap), 0, overlay.width, overlay.height});
    grey.copyTo(panel);
    cv::Mat tint = grey.clone();
    const auto for_each_cell = [&](const auto& paint) {
      for (size_t i = 0; i < cells.size(); ++i) {
        const std::vector<int>& ids = cells[i]->ids[layer];
        if (ids.empty()) continue;  // a dense layer stays grey
        paint(cell_in(overlay, e, static_cast<int>(i)), scalar(expert_colour(ids[0], e.num_experts)));
      }
    };
    for_each_cell([&](cv::Rect cell, const cv::Scalar& colour) { cv::rectangle(tint, cell, colour, cv::FILLED); });
    cv::addWeighted(panel, 1 - kTint, tint, kTint, 0, panel);
    for_each_cell([&](cv::Rect cell, const cv::Scalar& colour) { cv::rectangle(panel, cell, colour); });
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
  Image out = white(2 * panel + 3 * kGap, layers * kUsageCell + 2 * kGap + kLegend);
  double largest = 1e-12;
  for (const auto* shares : {&image_shares, &text_shares}) {
    for (const auto& layer : *shares) largest = std::max(largest, *std::max_element(layer.begin(), layer.end()));
  }
  const auto fill = [&](cv::Rect area, Rgb8 colour) {
    cv::rectangle(pixels_of(out), area, scalar(colour), cv::FILLED);
  };
  int left = kGap;
  for (const auto* shares : {&image_shares, &text_shares}) {
    for (int expert = 0; expert < e.num_experts; ++expert) {
      fill({left + expert * kUsageCell, kGap, kUsageCell - 1, kLegend - 1}, expert_colour(expert, e.num_experts));
      for (int layer = 0; layer < layers; ++layer) {
        fill({left + expert * kUsageCell, kGap + kLegend + layer * kUsageCell, kUsageCell - 1, kUsageCell - 1},
             heat_colour((*shares)[layer][expert] / largest));
      }
    }
    left += panel + kGap;
  }
  return out;
}

}  // namespace sf
