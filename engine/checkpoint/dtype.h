// Element types of the safetensors format. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sf {

enum class Dtype { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

// Bytes of one element.
size_t dtype_size(Dtype dtype);
// The format's name: "F32", "BF16", "BOOL" ...
std::string_view dtype_name(Dtype dtype);
// Nothing for a name that the format does not know.
std::optional<Dtype> dtype_of(std::string_view name);

}  // namespace sf
