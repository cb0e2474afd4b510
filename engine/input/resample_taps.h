// The weights of one output pixel of an antialiased bicubic resize.
#pragma once

#include <cstdint>
#include <vector>

namespace sf {

// Output pixel i = sum over t of weights[t] * input[first + t]; the weights sum to 1.
struct ResampleTaps {
  int first = 0;
  std::vector<float> weights;
};

// Effect: writes the taps of output pixel `index` of a line resized from input_size to output_size, reusing
// `taps`' memory. Keys' cubic with a = -0.5; its support grows with the scale when shrinking, as in PIL. Thread-safe.
// REQUIRES: 0 <= index < output_size, input_size >= 1.
void compute_taps(int64_t index, int input_size, int64_t output_size, ResampleTaps& taps);

}  // namespace sf
