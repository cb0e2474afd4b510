// Our images as OpenCV sees them.
//
//   cv::GaussianBlur(pixels_of(image), pixels_of(image), {3, 3}, 0);
//
// Thread-safe: free functions. OpenCV works on the calling thread: canvas.cc turns its pool of threads off.
#pragma once

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "engine/image/image.h"

namespace sf::data {

// The image's own pixels, RGB. REQUIRES: the image outlives the result and keeps its size.
inline cv::Mat3b pixels_of(Image& image) {
  return {image.height, image.width, reinterpret_cast<cv::Vec3b*>(image.pixels.data())};
}

// Knots that lie `cell` pixels apart, the first at the image's top left corner, interpolated bilinearly. REQUIRES: they
// reach over `size`.
inline cv::Mat interpolate(const cv::Mat& knots, cv::Size2f cell, cv::Size size) {
  cv::Mat large;
  const auto side = [](int knots, float cell) { return static_cast<int>(std::ceil(float(knots) * cell)); };
  cv::resize(knots, large, {side(knots.cols, cell.width), side(knots.rows, cell.height)}, 0, 0, cv::INTER_LINEAR);
  return large({{static_cast<int>(cell.width / 2), static_cast<int>(cell.height / 2)}, size});
}

}  // namespace sf::data
