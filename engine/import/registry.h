// What can be imported: one row for every `--from` of sparsefusion-model convert. A new format is a file and a row
// here; a new Hugging Face family a file and a row of hf_family.h's tables, which registry.cc holds too.
//
//   Manifest manifest = import_checkpoint("hf", {.source = "llava-dir", .destination = "out"}, {});
//
// Thread-safe: the table is immutable; imports to different destinations may run at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/import/import_model.h"
#include "engine/import/vision.h"

namespace sf {

struct ImportFormat {
  std::string_view name;  // of --from
  Manifest (*import)(const ImportOptions& options, const VisionImportOptions& vision);
};

const std::vector<ImportFormat>& import_formats();

// Effect: writes the checkpoint `options.destination`. `vision` is for vision encoders alone.
// Errors: InvalidArgument (field "from") listing the formats; the importer's own.
Manifest import_checkpoint(const std::string& from, const ImportOptions& options, const VisionImportOptions& vision);

}  // namespace sf
