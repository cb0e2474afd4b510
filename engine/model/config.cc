#include "engine/model/config.h"

#include <algorithm>
#include <cstdint>

#include "engine/base/error.h"

namespace sf {

int rotated_channels(const DecoderConfig& config) {
  if (config.positions != PositionKind::kRope) return 0;
  return static_cast<int>(config.head_dim * config.rope_fraction) / 2 * 2;
}

bool is_dense(const DecoderConfig& config, int layer) {
  return std::find(config.dense_layers.begin(), config.dense_layers.end(), layer) != config.dense_layers.end();
}

std::vector<int> routed_layers(const DecoderConfig& config) {
  std::vector<int> layers;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    if (!is_dense(config, layer)) layers.push_back(layer);
  }
  return layers;
}

int projector_shuffle(ProjectorKind projector) { return projector == ProjectorKind::kShuffle2 ? 2 : 1; }

ImageTokenRule image_token_rule(const ModelConfig& config) {
  return {config.vision.features == VisionFeatures::kPatches ? 0 : 1, config.vision.features != VisionFeatures::kClass};
}

int max_image_tokens(const ModelConfig& config) {
  if (!config.has_vision()) return 0;
  const ImageConfig& image = config.image;
  const int side = image.crop_side / image.cell_size;
  return image.resize != ImageResize::kFit ? image_token_rule(config).count(side, side)
                                           : image_token_rule(config).count(1, image.max_cells);
}

void set_projector(ModelConfig& config, ProjectorKind projector) {
  SF_REQUIRE(projector != ProjectorKind::kNone, "set_projector: none reads no images");
  const int before = config.image.cell_size, after = config.vision.token_size * projector_shuffle(projector);
  config.projector = projector;
  config.image.cell_size = after;
  config.image.max_side_cells = config.image.max_side_cells * before / after;
  config.image.max_cells = static_cast<int>(int64_t{config.image.max_cells} * before * before / after / after);
  if (projector == ProjectorKind::kCls) {
    config.vision.class_token = true;
    config.vision.features = VisionFeatures::kClass;
  } else if (config.vision.features == VisionFeatures::kClass) {
    config.vision.features = VisionFeatures::kPatches;
  }
}

}  // namespace sf
