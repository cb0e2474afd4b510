// config.json of a checkpoint: every size and switch of the model. Plain values, thread-safe functions; no torch.
//
//   ModelConfig config = parse_model_config(json_text);   // unknown keys are errors; all have defaults
//   std::string text = to_json(config);
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/config_enums.h"

namespace sf {

// Groups of the stem's group normalisation; its channels are multiples of it.
inline constexpr int kStemGroups = 4;

struct VisionConfig {
  int token_size = 16;  // pixels of the resized image along one vision token's side
  StemKind stem = StemKind::kConv;
  bool stem_bias = true;                      // of "linear"
  std::vector<int> stem_channels = {24, 48};  // before the last, which gives `width`
  std::vector<int> stem_strides = {4, 2, 2};  // their product is token_size
  bool coordinates = true;                    // two more input channels: x and y of the image, -1..1
  bool class_token = false;                   // one learned token before the patches
  PositionEmbedding position_embedding = PositionEmbedding::kAxes;
  int position_rows = 14;  // of the table's grid; other grids: antialiased bicubic resampling (timm)
  int position_columns = 14;
  int width = 96;
  int num_layers = 3;
  int num_heads = 6;
  int mlp_width = 384;
  VisionActivation activation = VisionActivation::kGelu;
  bool layer_scale = false;          // a learned factor per channel of what a block adds (CaiT, InternViT)
  bool pre_norm = false;             // a LayerNorm before the first block (CLIP)
  bool final_norm = true;            // a LayerNorm behind the last
  bool residual_after_norm = false;  // the MLP's residual starts behind its norm: y = n(x) + mlp(n(x))
  bool relative_bias = true;         // learned bias per head and 2-D offset of two tokens
  int max_side = 18;                 // vision tokens along either side at most
  double norm_eps = 1e-6;
  VisionFeatures features = VisionFeatures::kPatches;  // what leaves the encoder
  // Blocks, counted from 0 and ascending, whose outputs are injected too: those behind the k-th named block, through a
  // projector of their own, are added to the image tokens behind decoder layer k (DeepStack, arXiv 2406.04334).
  std::vector<int> deepstack_layers = {};
};

struct MoeConfig {
  int num_experts = 8;
  int top_k = 2;
  int hidden = 128;  // F: width of one expert
  ExpertActivation activation = ExpertActivation::kSwiglu;
  bool expert_bias = false;  // added after either matrix of an expert
  int shared_hidden = 0;     // width of the expert that every token also passes; 0 = none
  RouterSoftmax router_softmax = RouterSoftmax::kAfter;
  bool router_bias = false;
  bool renormalise = false;      // softmax before: the gates of the k chosen are divided by their sum (Qwen3)
  bool bias_balancing = false;   // DeepSeek (arXiv 2408.15664): chosen by score + bias, weighed by score
  double noise_scale = 1.0;      // factor of the whole noise; Shazeer 2017 has 1
  double noise_epsilon = 1e-2;   // Shazeer 2017: floor of the learned noise's standard deviation
  bool noisy = true;             // noise in training only
  double capacity_factor = 2.0;  // C = max(4, ceil(top_k * T / num_experts * factor)); 0 = no limit
  DropOrder drop_order = DropOrder::kPosition;  // in training
  ExpertDropout dropout = ExpertDropout::kOutput;
  double dropout_rate = 0;
};

struct DecoderConfig {
  int vocab_size = 768;
  int width = 96;
  int num_layers = 3;
  int num_heads = 4;
  int num_kv_heads = 4;
  int head_dim = 24;
  PositionKind positions = PositionKind::kRope;
  RopeKind rope = RopeKind::k1d;
  double rope_theta = 10000.0;
  double rope_fraction = 0.5;     // leading channels of a head that are rotated
  bool rope_interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + half)
  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-6;
  bool residual_after_norm = false;  // the feed-forward's residual starts behind its norm: y = n(x) + moe(n(x))
  bool qk_norm = false;              // RMSNorm over the channels of each query and key head, before rotation
  bool attention_bias = false;       // on the query, key and value projections
  bool attention_out_bias = false;
  double attention_scale = 0;          // of the scores; 0 = 1/sqrt(head_dim)
  bool scale_embedding = true;         // token embeddings times sqrt(width)
  bool tied_head = true;               // the output matrix is the embedding table
  bool head_bias = false;              // on the logits
  int max_context = 512;               // prompt and answer together
  std::vector<int> dense_layers = {};  // layers, counted from 0, with a plain MLP and no router (Qwen's
                                       // mlp_only_layers; DeepSeek's first_k_dense_replace n is 0..n-1)
  int dense_hidden = 0;                // width of that MLP; its activation and biases are the experts'
  MoeConfig moe;                       // of all other layers
};

struct ImageConfig {
  int cell_size = 32;  // pixels along one image token's side: token_size x projector's shuffle
  ImageResize resize = ImageResize::kFit;
  ImageResample resample = ImageResample::kBicubic;
  int max_cells = 36;                                    // "fit": image tokens of one image at most
  int max_side_cells = 9;                                // "fit"
  int resize_side = 256;                                 // "crop": length of the shorter side after the resize
  int crop_side = 224;                                   // "crop", "stretch": sides of the square
  ImageCropOffset crop_offset = ImageCropOffset::kEven;  // "crop"
  std::array<double, 3> mean = {0.5, 0.5, 0.5};  // of red, green, blue in 0..1; a single number stands for all three
  std::array<double, 3> std = {0.25, 0.25, 0.25};
  int max_images = 1;  // images of one prompt at most
};

struct ModelConfig {
  std::string model_type = "sparsefusion";
  std::string preset = "tiny";
  // What the model computes in, whatever its weights are stored as; written only where it is not f32. So far no other
  // is served: the model's constructor refuses it.
  Dtype dtype = Dtype::kF32;
  ImageConfig image;
  VisionConfig vision;
  ProjectorKind projector = ProjectorKind::kShuffle2;
  bool projector_norm = true;  // a LayerNorm before it (LLaVA has none)
  int projector_hidden = 0;    // width between its layers; 0 = twice the decoder's
  bool modality_embedding = true;
  DecoderConfig decoder;
  std::string prompt_template = "plain";  // "plain", "llava-1.5" or "mistral" (engine/text/prompt.h)
  bool single_turn = false;          // trained on single questions: of a conversation only the last question counts,
                                     // with its image or the one before it that is nearest
  bool normalize_questions = false;  // trained on questions of one line without capitals (normalized_question)

  bool has_vision() const { return projector != ProjectorKind::kNone; }
};

// Leading channels of a head that rotary positions turn; even, 0 with learned positions.
int rotated_channels(const DecoderConfig& config);

// Whether the decoder's layer is a plain MLP, and the layers that are not, ascending.
bool is_dense(const DecoderConfig& config, int layer);
std::vector<int> routed_layers(const DecoderConfig& config);

// Vision tokens along one side that the projector joins to one image token.
int projector_shuffle(ProjectorKind projector);

// Which image tokens an image of a grid of cells becomes: `whole` that stand for all of it, then one a cell.
struct ImageTokenRule {
  int whole = 0;
  bool cells = true;
  int count(int rows, int columns) const { return whole + (cells ? rows * columns : 0); }
};
ImageTokenRule image_token_rule(const ModelConfig& config);

// Image tokens of one image at most.
int max_image_tokens(const ModelConfig& config);

// The projector of that name, of those that read images.
// Errors: InvalidArgument (field "config.json") listing the names.
ProjectorKind parse_projector(std::string_view name);

// Effect: changes the projector, and with it the size of a cell, so that images keep their pixels.
// REQUIRES: not ProjectorKind::kNone.
void set_projector(ModelConfig& config, ProjectorKind projector);

// The vision encoder's part of a config.json: what a converted encoder carries (model_type "sparsefusion-vision").
struct VisionModelConfig {
  ImageConfig image;
  VisionConfig vision;
};
// Errors: as parse_model_config. Takes the config.json of a whole model too, for its encoder.
VisionModelConfig parse_vision_config(std::string_view json_text);
std::string to_json(const VisionModelConfig& config);

// preprocessor_config.json of such images, for people and other programs; nothing here reads it.
std::string preprocessor_json(const ImageConfig& image);

// The named presets of sparsefusion-train, engine/model/presets/*.json: "toy" (tests and smoke runs), "tiny" (the
// bundled demo), "seed" (the shape and conventions of the original SparseFusion), "small", "base".
// Errors: InvalidArgument listing the names.
ModelConfig model_preset(const std::string& name);

// Errors: InvalidArgument (field "config.json") for anything but an object whose sizes are positive and consistent.
ModelConfig parse_model_config(std::string_view json_text);
std::string to_json(const ModelConfig& config);

// The number of weights of such a model, from the sizes alone: nothing is allocated. A double, because hostile sizes
// overflow 64 bits. REQUIRES: a config that parse_model_config() accepts.
double num_weights(const ModelConfig& config);

}  // namespace sf
