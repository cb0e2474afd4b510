// Elements of one floating dtype converted to another, torch-free. Pure functions.
//
//   std::vector<float> values = to_floats(tensor.bytes, tensor.dtype);
//   std::string bf16 = from_floats(values, Dtype::kBF16);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"

namespace sf {

// Whether elements of `dtype` can be read as floats here: F32, F16 or BF16.
bool is_float_dtype(Dtype dtype);

// Effect: little-endian elements -> floats; exact. REQUIRES: is_float_dtype, whole elements.
std::vector<float> to_floats(std::string_view bytes, Dtype dtype);

// Effect: floats -> little-endian elements of F32 or BF16, rounded to the nearest, ties to even; NaN stays NaN.
std::string from_floats(const std::vector<float>& values, Dtype dtype);

}  // namespace sf
