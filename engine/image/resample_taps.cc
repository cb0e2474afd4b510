#include "engine/image/resample_taps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sf {
namespace {

// Keys' cubic convolution kernel, a = -1/2 (R. Keys, "Cubic convolution interpolation", 1981).
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

}  // namespace

void compute_taps(ResampleFilter filter, int64_t index, int input_size, int64_t output_size, ResampleTaps& taps) {
  const double scale = static_cast<double>(input_size) / static_cast<double>(output_size);
  const double stretch = std::max(scale, 1.0);
  const double center = (static_cast<double>(index) + 0.5) * scale;
  const bool bicubic = filter == ResampleFilter::kBicubic;
  const double reach = (bicubic ? 2.0 : 1.0) * stretch;
  const int first = std::max(0, static_cast<int>(center - reach + 0.5));
  const int last = std::min(input_size, static_cast<int>(center + reach + 0.5));

  taps.first = first;
  taps.weights.resize(static_cast<size_t>(last - first));
  double sum = 0.0;
  for (int x = first; x < last; ++x) {
    const double distance = (x - center + 0.5) / stretch;
    const double weight = bicubic ? cubic(distance) : triangle(distance);
    taps.weights[static_cast<size_t>(x - first)] = static_cast<float>(weight);
    sum += weight;
  }
  const auto norm = static_cast<float>(1.0 / sum);
  for (float& weight : taps.weights) weight *= norm;
}

}  // namespace sf
