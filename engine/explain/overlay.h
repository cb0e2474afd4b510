// Images of an explanation: heatmaps and experts painted over the image that was asked about.
//
//   Image image = heatmap_overlay(decode_image(bytes), e, e.tokens[0].heatmap);
//   write_file("token0.png", encode_png(image));
//
// Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/explain/explanation.h"
#include "engine/image/image.h"

namespace sf {

using Rgb8 = std::array<uint8_t, 3>;

struct OverlayOptions {
  int long_side = 480;  // pixels; smaller images are enlarged, larger ones shrunk
};

// The perceptually even colour map "inferno" at value 0..1, black to pale yellow: brighter is more.
Rgb8 heat_colour(double value);
// Well apart from each other for eight experts (Okabe and Ito's set with two more), a wheel of hues beyond.
Rgb8 expert_colour(int expert, int num_experts);

// The heatmap, smooth between the cells' centres and scaled to its maximum, over the dimmed image; a frame marks the
// cell of the maximum. REQUIRES: heatmap.size() == rows * columns; `image` is the explained one, upright.
Image heatmap_overlay(const Image& image, const Explanation& e, const std::vector<float>& heatmap,
                      const OverlayOptions& options = {});

// The mean of the answer tokens' heatmaps; empty where there is no token.
std::vector<float> mean_heatmap(const Explanation& e);

// The overlay of one answer token (-1 = the mean of all) as a PNG; the image alone where the answer is empty.
// Errors: InvalidArgument (field "token") for a token that the answer lacks. REQUIRES: `encoded` is the explained
// image, which Engine::prepare has accepted: no limit is checked here.
std::string explanation_png(std::string_view encoded, const Explanation& e, int token);

// Every cell of the greyed image tinted by its first expert; the layers side by side, first layer left.
Image expert_overlay(const Image& image, const Explanation& e, const OverlayOptions& options = {});

// Shares of assignments, a row per layer and a column per expert under its colour: image tokens left, text tokens
// right; black is none, the brightest cell is the largest share.
Image expert_usage_map(const Explanation& e);

// [layers][experts]: the share of the assignments of the explanation's image (or text) tokens; rows sum to 1.
std::vector<std::vector<double>> expert_shares(const Explanation& e, bool image);

}  // namespace sf
