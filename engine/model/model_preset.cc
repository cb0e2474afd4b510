#include "engine/base/error.h"
#include "engine/model/config.h"

namespace sf {

ModelConfig model_preset(const std::string& name) {
  ModelConfig config;
  config.preset = name;
  // A small network binds sooner when its tokens stay with their experts: ties at the start are still broken at random.
  config.decoder.moe.noise_scale = 0.2;
  if (name == "tiny") return config;
  if (name == "toy") {
    config.vision.width = 24;
    config.vision.stem_channels = {8, 16};
    config.vision.num_heads = 2;
    config.vision.mlp_width = 48;
    config.vision.num_layers = 1;
    config.decoder.width = 32;
    config.decoder.num_layers = 2;
    config.decoder.num_heads = 2;
    config.decoder.num_kv_heads = 2;
    config.decoder.head_dim = 16;
    config.decoder.moe.num_experts = 4;
    config.decoder.moe.hidden = 32;
    return config;
  }
  // The original SparseFusion's shape and conventions, which `sparsefusion-model convert --from seed` fills with its
  // weights.
  if (name == "seed") {
    VisionConfig& v = config.vision;
    v.stem = StemKind::kLinear;
    v.coordinates = v.relative_bias = false;
    v.class_token = v.residual_after_norm = true;
    v.position_embedding = PositionEmbedding::kTable;
    v.position_rows = v.position_columns = v.max_side = 6;
    v.width = 128;
    v.num_layers = v.num_heads = 8;
    v.mlp_width = 512;
    v.activation = VisionActivation::kRelu;
    v.norm_eps = 1e-5;
    set_projector(config, ProjectorKind::kCls);
    config.projector_norm = config.modality_embedding = false;
    config.projector_hidden = 512;
    config.image.resize = ImageResize::kStretch;
    config.image.resample = ImageResample::kBilinear;
    config.image.crop_side = config.image.resize_side = 96;
    config.image.mean = {0.485, 0.456, 0.406};
    config.image.std = {0.229, 0.224, 0.225};
    DecoderConfig& d = config.decoder;
    d.width = 128;
    d.num_layers = d.num_heads = d.num_kv_heads = 8;
    d.head_dim = 16;
    d.positions = PositionKind::kLearned;
    d.norm = NormKind::kLayer;
    d.norm_eps = 1e-5;
    d.residual_after_norm = d.attention_out_bias = d.head_bias = true;
    d.attention_scale = 0.08838834764831845;  // 1/sqrt(128), of the width and not of a head
    d.scale_embedding = d.tied_head = false;
    d.max_context = 1000;
    d.moe.hidden = 512;
    d.moe.activation = ExpertActivation::kRelu;
    d.moe.expert_bias = d.moe.router_bias = true;
    d.moe.noise_scale = 1.0;
    d.moe.noise_epsilon = 0;
    return config;
  }
  if (name == "small") {
    config.vision.width = 192;
    config.vision.stem_channels = {48, 96};
    config.vision.mlp_width = 768;
    config.vision.num_layers = 4;
    config.decoder.width = 256;
    config.decoder.num_layers = 4;
    config.decoder.num_heads = 8;
    config.decoder.num_kv_heads = 8;
    config.decoder.head_dim = 32;
    config.decoder.moe.hidden = 256;
    return config;
  }
  if (name == "base") {
    config.vision.width = 384;
    config.vision.stem_channels = {96, 192};
    config.vision.mlp_width = 1536;
    config.vision.num_layers = 6;
    config.decoder.width = 512;
    config.decoder.num_layers = 8;
    config.decoder.num_heads = 8;
    config.decoder.num_kv_heads = 8;
    config.decoder.head_dim = 64;
    config.decoder.moe.hidden = 512;
    return config;
  }
  throw invalid_argument("model", "unknown model preset ", name, "; known: toy, tiny, seed, small, base");
}

}  // namespace sf
