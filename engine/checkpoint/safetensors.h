// The safetensors format: named tensors in one byte string. Layout and every check: docs/checkpoint_format.md.
//
//   Safetensors weights = Safetensors::parse(bytes, "model.safetensors");  // views into `bytes`, nothing is copied
//   const TensorView& table = weights.at("decoder.embedding.weight");
//   std::string file = write_safetensors({{"w", {Dtype::kF32, {2, 3}, raw}}}, {{"format", "pt"}});
//
// Thread-safe: Safetensors is immutable, the rest are free functions and plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/dtype.h"

namespace sf {

struct TensorView {
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;  // row-major; empty = a scalar
  std::string_view bytes;      // little-endian elements; may be unaligned: copy, do not cast
};

// Product of the shape; 1 for a scalar. REQUIRES: a shape that parse() or write_safetensors() accepted.
int64_t num_elements(const std::vector<int64_t>& shape);

// Holds views: the bytes must outlive it.
class Safetensors {
 public:
  // Effect: checks everything that can be checked without reading elements; cost is that of the header.
  // Errors: DataLoss, with `file_name`, the tensor where there is one, and the reason.
  static Safetensors parse(std::string_view bytes, const std::string& file_name);

  const std::map<std::string, TensorView>& tensors() const& { return tensors_; }
  const std::map<std::string, TensorView>& tensors() && = delete;  // would dangle
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Null where there is no such tensor.
  const TensorView* find(const std::string& name) const;
  // Errors: DataLoss where there is no such tensor.
  const TensorView& at(const std::string& name) const;

 private:
  std::string file_name_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct TensorLayout {
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
};

// All of a file but its elements, and the order in which the tensors' elements follow.
struct SafetensorsHead {
  std::string bytes;
  std::vector<std::string> order;
};

// Errors: InvalidArgument where a shape is no shape, or a name is reserved or not UTF-8.
SafetensorsHead safetensors_head(const std::map<std::string, TensorLayout>& tensors,
                                 const std::map<std::string, std::string>& metadata = {});

// Bytes of a tensor's elements. Errors: InvalidArgument where they do not fit 63 bits or a side is negative.
uint64_t num_bytes(const TensorLayout& tensor);

// Effect: the bytes of a file; the same input gives the same bytes. Tensors lie by element size, largest first, then by
// name, behind a header padded to 8 bytes, so every tensor is aligned to its elements.
// Errors: InvalidArgument where a tensor's bytes do not match its shape, or a name is reserved or not UTF-8.
std::string write_safetensors(const std::map<std::string, TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace sf
