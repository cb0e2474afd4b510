// How the tensors of a foreign model become ours: each of ours is a row of pieces of theirs. The plan says what every
// piece must look like, so nothing is inferred from shapes, and what is missing or left over has a name.
//
//   ImportPlan plan = plan_hf_import(hf, source, "").plan;   // hf_model.h
//   check_plan(plan, source);
//   ManifestFile file = write_planned(plan, source, directory / "model.safetensors", {.dtype = Dtype::kF32});
//
// Plain values, and thread-safe functions over them. write_planned(): one thread at a time for a path.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/checkpoint/manifest.h"
#include "engine/checkpoint/tensor_source.h"

namespace sf {

struct ImportPiece {
  std::string source;          // tensor of the foreign model; empty: `fill` in all elements of `shape`
  std::vector<int64_t> shape;  // that it must have
  float factor = 1;            // of every element
  float fill = 0;
};

// Ours: the pieces one after another, row-major.
struct ImportTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<ImportPiece> pieces;
};

struct ImportPlan {
  std::vector<ImportTensor> tensors;
  std::set<std::string> unused;  // foreign tensors that are known and not needed
};

struct WriteOptions {
  Dtype dtype = Dtype::kF32;  // F32 or BF16
  std::function<void(int64_t done_bytes)> progress = {};
};

// The bytes of the file's elements.
int64_t planned_bytes(const ImportPlan& plan, Dtype dtype);

// Errors: InvalidArgument (field = the tensor) where a foreign tensor is missing, has another shape than planned or no
// floating dtype, or is neither used nor known. Internal where the plan itself is inconsistent.
void check_plan(const ImportPlan& plan, const TensorSource& source);

// Effect: writes the file; takes a few MiB of memory whatever its size. REQUIRES: check_plan() passed.
ManifestFile write_planned(const ImportPlan& plan, const TensorSource& source, const std::filesystem::path& path,
                           const WriteOptions& options);

}  // namespace sf
