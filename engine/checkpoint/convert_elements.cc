#include "engine/checkpoint/convert_elements.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/error.h"

namespace sf {
namespace {

float from_half(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = mantissa ? std::nanf("") : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude =
        std::bit_cast<float>(static_cast<uint32_t>(exponent + 112) << 23 | static_cast<uint32_t>(mantissa) << 13);
  }
  return half & 0x8000 ? -magnitude : magnitude;
}

uint16_t to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 64);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

bool is_float_dtype(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16; }

std::vector<float> to_floats(std::string_view bytes, Dtype dtype) {
  SF_CHECK(is_float_dtype(dtype) && bytes.size() % dtype_size(dtype) == 0, "convert_elements: no whole floats");
  std::vector<float> out(bytes.size() / dtype_size(dtype));
  if (dtype == Dtype::kF32) {
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    out[i] = dtype == Dtype::kBF16 ? std::bit_cast<float>(static_cast<uint32_t>(half) << 16) : from_half(half);
  }
  return out;
}

std::string from_floats(const std::vector<float>& values, Dtype dtype) {
  SF_CHECK(dtype == Dtype::kF32 || dtype == Dtype::kBF16, "convert_elements: only F32 and BF16 are written");
  std::string out(values.size() * dtype_size(dtype), '\0');
  if (dtype == Dtype::kF32) {
    if (!out.empty()) std::memcpy(out.data(), values.data(), out.size());
    return out;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = to_bfloat16(values[i]);
    std::memcpy(out.data() + 2 * i, &half, 2);
  }
  return out;
}

}  // namespace sf
