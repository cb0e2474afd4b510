// Element types of tensors, by the names of the safetensors format.
//
//   const size_t bytes = dtype_size(Dtype::kBF16);         // 2
//   const std::optional<Dtype> dtype = dtype_of("BF16");   // nothing for a name that the format does not know
//
// Thread-safe. No source file: the reader of safetensors is built without the rest of engine/base.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sf {

enum class Dtype { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  size_t size;
};

// In the order of the enumeration.
inline constexpr std::array<DtypeRow, 15> kDtypes = {{
    {Dtype::kF64, "F64", 8},
    {Dtype::kF32, "F32", 4},
    {Dtype::kF16, "F16", 2},
    {Dtype::kBF16, "BF16", 2},
    {Dtype::kF8E4M3, "F8_E4M3", 1},
    {Dtype::kF8E5M2, "F8_E5M2", 1},
    {Dtype::kI64, "I64", 8},
    {Dtype::kI32, "I32", 4},
    {Dtype::kI16, "I16", 2},
    {Dtype::kI8, "I8", 1},
    {Dtype::kU64, "U64", 8},
    {Dtype::kU32, "U32", 4},
    {Dtype::kU16, "U16", 2},
    {Dtype::kU8, "U8", 1},
    {Dtype::kBool, "BOOL", 1},
}};

// Bytes of one element.
constexpr size_t dtype_size(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].size; }

// The format's name: "F32", "BF16", "BOOL" ...
constexpr std::string_view dtype_name(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].name; }

// Nothing for a name that the format does not know.
constexpr std::optional<Dtype> dtype_of(std::string_view name) {
  for (const DtypeRow& row : kDtypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace sf
