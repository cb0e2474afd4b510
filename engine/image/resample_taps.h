// The weights of one output pixel of an antialiased resize. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace sf {

enum class ResampleFilter {
  kBicubic,   // Keys' cubic with a = -0.5, over four pixels
  kBilinear,  // a triangle over two pixels
};

// Output pixel i = sum over t of weights[t] * input[first + t]; the weights sum to 1.
struct ResampleTaps {
  int first = 0;
  std::vector<float> weights;
};

// Effect: writes the taps of output pixel `index` of a line resized from input_size to output_size, reusing
// `taps`' memory. The filter's support grows with the scale when shrinking, as in PIL.
// REQUIRES: 0 <= index < output_size, input_size >= 1.
void compute_taps(ResampleFilter filter, int64_t index, int input_size, int64_t output_size, ResampleTaps& taps);

}  // namespace sf
