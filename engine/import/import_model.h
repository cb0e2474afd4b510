// A foreign model -> a checkpoint directory that the server serves. Weights are streamed: memory does not grow with the
// model.
//
//   Manifest manifest = import_hf_model({.source = "llava-dir", .destination = "out"});
//
// Thread-safe: free functions; imports to different destinations may run at once.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "engine/base/dtype.h"
#include "engine/checkpoint/manifest.h"

namespace sf {

struct ImportOptions {
  std::filesystem::path source;       // a Hugging Face directory, or a .pth file
  std::filesystem::path destination;  // must not exist
  std::string prompt_template = {};   // empty: what fits the architecture
  Dtype dtype = Dtype::kF32;          // of the weights written: F32 or BF16
  std::filesystem::path characters =
      {};  // seed: a UTF-8 file with the vocabulary's characters in order; default: the original's
  std::function<void(int64_t done, int64_t total)> progress = {};  // bytes of weights
};

// Effect: writes the checkpoint, manifest last; nothing stays where it fails. Errors: AlreadyExists; NotFound,
// InvalidArgument or DataLoss naming the file, key or tensor at fault; an architecture that is not supported by its
// name.
Manifest import_hf_model(const ImportOptions& options);
Manifest import_seemore_model(const ImportOptions& options);

}  // namespace sf
