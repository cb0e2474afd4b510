#include "engine/import/plan.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/checkpoint/convert_elements.h"
#include "engine/checkpoint/safetensors_writer.h"

namespace sf {
namespace {

constexpr int64_t kChunkElements = 1 << 20;

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t side : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(side);
  return text + "]";
}

void check_piece(const ImportTensor& target, const ImportPiece& piece, const TensorSource& source) {
  if (piece.source.empty()) return;
  const auto found = source.tensors().find(piece.source);
  if (found == source.tensors().end()) {
    throw invalid_argument(piece.source, "tensor ", piece.source, " is missing (needed for ", target.name, ")");
  }
  if (found->second.shape != piece.shape) {
    throw invalid_argument(piece.source, "tensor ", piece.source, " has shape ", text_of(found->second.shape),
                           ", and the configuration asks for ", text_of(piece.shape));
  }
  if (!is_float_dtype(found->second.dtype)) {
    throw invalid_argument(piece.source, "tensor ", piece.source, " has dtype ", dtype_name(found->second.dtype),
                           "; supported: F32, F16, BF16");
  }
}

}  // namespace

int64_t planned_bytes(const ImportPlan& plan, Dtype dtype) {
  int64_t bytes = 0;
  for (const ImportTensor& target : plan.tensors) bytes += static_cast<int64_t>(num_bytes({dtype, target.shape}));
  return bytes;
}

void check_plan(const ImportPlan& plan, const TensorSource& source) {
  std::set<std::string> used;
  for (const ImportTensor& target : plan.tensors) {
    int64_t elements = 0;
    for (const ImportPiece& piece : target.pieces) {
      check_piece(target, piece, source);
      elements += num_elements(piece.shape);
      used.insert(piece.source);
    }
    SF_CHECK(elements == num_elements(target.shape), "import: the pieces of ", target.name, " do not fill ",
             text_of(target.shape));
  }
  for (const auto& [name, layout] : source.tensors()) {
    if (used.contains(name) || plan.unused.contains(name)) continue;
    throw invalid_argument(name, "tensor ", name, " does not belong to a model of this configuration");
  }
}

ManifestFile write_planned(const ImportPlan& plan, const TensorSource& source, const std::filesystem::path& path,
                           const WriteOptions& options) {
  std::map<std::string, TensorLayout> layouts;
  std::map<std::string, const ImportTensor*> targets;
  for (const ImportTensor& target : plan.tensors) {
    const bool fresh = layouts.emplace(target.name, TensorLayout{options.dtype, target.shape}).second;
    SF_CHECK(fresh, "import: ", target.name, " is planned twice");
    targets[target.name] = &target;
  }
  SafetensorsWriter writer(path, layouts, {{"format", "pt"}});
  int64_t done = 0;
  std::string bytes;
  for (const std::string& name : writer.order()) {
    for (const ImportPiece& piece : targets.at(name)->pieces) {
      const Dtype dtype = piece.source.empty() ? Dtype::kF32 : source.tensors().at(piece.source).dtype;
      const auto size = static_cast<int64_t>(dtype_size(dtype));
      const int64_t elements = num_elements(piece.shape);
      for (int64_t begin = 0; begin < elements; begin += kChunkElements) {
        const int64_t count = std::min(kChunkElements, elements - begin);
        std::vector<float> values(static_cast<size_t>(count), piece.fill);
        if (!piece.source.empty()) {
          bytes.resize(static_cast<size_t>(count * size));
          source.read(piece.source, begin * size, count * size, bytes.data());
          values = to_floats(bytes, dtype);
          if (piece.factor != 1)
            std::for_each(values.begin(), values.end(), [&](float& value) { value *= piece.factor; });
        }
        writer.append(from_floats(values, options.dtype));
        done += count * static_cast<int64_t>(dtype_size(options.dtype));
        if (options.progress) options.progress(done);
      }
    }
  }
  return writer.finish();
}

}  // namespace sf
