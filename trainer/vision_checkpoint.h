// A vision encoder to start training from: what `sparsefusion-model convert --from timm|clip` writes, or any checkpoint
// of a whole model, whose encoder is taken.
//
//   VisionCheckpoint encoder = open_vision_checkpoint("vit_small");
//   use_encoder(config, encoder.config);
//   load_encoder(encoder, vlm);
//
// One thread at a time.
#pragma once

#include <filesystem>

#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/model/vlm.h"

namespace sf {

struct VisionCheckpoint {
  VisionModelConfig config;
  VerifiedCheckpoint files;
};

// `path`: the directory, or a file in it. Errors: NotFound where there is no manifest; those of open_checkpoint and
// parse_vision_config.
VisionCheckpoint open_vision_checkpoint(const std::filesystem::path& path);

// Effect: `config` takes the encoder and its preprocessing, and keeps its projector where that can take the features.
void use_encoder(ModelConfig& config, const VisionModelConfig& encoder);

// Effect: copies the weights "vision.*". REQUIRES: use_encoder() made vlm's configuration. Errors: those of
// load_tensors.
void load_encoder(const VisionCheckpoint& encoder, Vlm& vlm);

}  // namespace sf
