#include "trainer/vision_checkpoint.h"

#include "engine/base/error.h"
#include "engine/runtime/weights.h"

namespace sf {

VisionCheckpoint open_vision_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path directory = std::filesystem::is_directory(path) ? path : path.parent_path();
  if (!std::filesystem::exists(directory / kManifestName)) {
    throw Error(Code::kNotFound,
                concat(path.string(), " lies in no checkpoint: a file of timm or CLIP becomes one by ",
                       "sparsefusion-model convert --from timm|clip FILE --out DIR"),
                "vit-init");
  }
  VisionCheckpoint out{{}, open_checkpoint(directory)};
  out.config = parse_vision_config(out.files.file("config.json"));
  return out;
}

void use_encoder(ModelConfig& config, const VisionModelConfig& encoder) {
  ProjectorKind projector = config.projector;
  if (encoder.vision.features == VisionFeatures::kClass) projector = ProjectorKind::kCls;
  if (encoder.vision.features == VisionFeatures::kAll && projector == ProjectorKind::kShuffle2)
    projector = ProjectorKind::kMlp;
  const int max_images = config.image.max_images;
  config.image = encoder.image;
  config.image.max_images = max_images;
  config.vision = encoder.vision;
  set_projector(config, projector);
}

void load_encoder(const VisionCheckpoint& encoder, Vlm& vlm) {
  load_tensors(encoder.files.file("model.safetensors"), "model.safetensors", vlm.vision_parameters(),
               std::string(Vlm::kVisionPrefix));
}

}  // namespace sf
