// Vision encoders of other libraries -> ours: what import_timm and import_clip are given and give back.
//
//   ShardedTensors source = ShardedTensors::of_file("vit_small_patch16_224.safetensors");
//   VisionImport import = import_timm(source, {.image_size = 96}, files);
//   check_plan(import.plan, source);
//
// Thread-safe: free functions.
#pragma once

#include <string>

#include "engine/import/plan.h"

namespace sf {

struct VisionImportOptions {
  int num_heads = 0;      // 0 = what the configuration beside the file says, else width / 64
  int image_size = 0;     // sides of the crop; 0 = the encoder's own. The position table is resampled
  int feature_layer = 0;  // as in Hugging Face's hidden_states: -1 the last block's output, -2 the one before,
                          // without the final norm; 0 = the last block's, with it
  std::string features = "patches";  // vision.features of config.json
};

// The files beside the tensors, as read; empty where there is none.
struct VisionImportFiles {
  std::string config_json;
  std::string preprocessor_json;
};

struct VisionImport {
  std::string config_json;  // ours, of model_type "sparsefusion-vision"
  ImportPlan plan;          // tensors "vision.*"
};

// A timm VisionTransformer (vit_small_patch16_224 and its kin: with or without class token, norm_pre, LayerScale). What
// the weights do not say is timm's default: eps 1e-6 (1e-5 with norm_pre), GELU, crop_pct 0.9, mean and std 0.5 (CLIP's
// with norm_pre); timm's config.json beside the file is honoured. Errors: InvalidArgument naming the tensor or key at
// fault.
VisionImport import_timm(const TensorSource& source, const VisionImportOptions& options,
                         const VisionImportFiles& files);

// The vision half of a Hugging Face CLIP (names vision_model.*; everything of the text is skipped), or a
// CLIPVisionModel alone. config.json and preprocessor_config.json beside the file are honoured; without them
// openai/clip-vit-*'s values hold. Errors: as above.
VisionImport import_clip(const TensorSource& source, const VisionImportOptions& options,
                         const VisionImportFiles& files);

}  // namespace sf
