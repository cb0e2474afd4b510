// A vision encoder of timm or of Hugging Face's CLIP -> the directory that sparsefusion-train --vit-init takes:
// config.json (image and vision), preprocessor_config.json, model.safetensors (f32, "vision.*"), manifest.json. Weights
// are streamed.
//
//   const ImportOptions options{.source = "vit_small_patch16_224.safetensors", .destination = "vit"};
//   Manifest manifest = import_encoder(import_timm, options, {.image_size = 96});
//
// Thread-safe: a free function; imports to different destinations may run at once.
#pragma once

#include "engine/import/import_model.h"
#include "engine/import/vision.h"

namespace sf {

// import_timm or import_clip.
using VisionImporter = VisionImport (*)(const TensorSource& source, const VisionImportOptions& options,
                                        const VisionImportFiles& files);

// config.json and preprocessor_config.json beside the file are honoured. Errors: as import_hf_model; InvalidArgument
// for a size that is no whole number of patches.
Manifest import_encoder(VisionImporter importer, const ImportOptions& options, const VisionImportOptions& vision);

}  // namespace sf
