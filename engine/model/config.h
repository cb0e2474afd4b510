// config.json of a checkpoint: every size and switch of the model. Plain values; no torch.
//
//   ModelConfig config = parse_model_config(json_text);   // an unknown key names itself; a missing one has its default
//   std::string text = to_json(config);
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

// Groups of the stem's group normalisation; its channels are multiples of it.
inline constexpr int kStemGroups = 4;

struct VisionConfig {
  int token_size = 16;        // pixels of the resized image along one vision token's side
  std::string stem = "conv";  // "conv": several convolutions; "patch": one of token_size x token_size, with
                              // norm, GELU and a 1x1 after it; "linear": that one alone (ViT, CLIP)
  bool stem_bias = true;      // of "linear"
  std::vector<int> stem_channels = {24, 48};  // before the last, which gives `width`
  std::vector<int> stem_strides = {4, 2, 2};  // their product is token_size
  bool coordinates = true;                    // two more input channels: x and y of the image, -1..1
  bool class_token = false;                   // one learned token before the patches
  std::string position_embedding = "axes";    // "axes": a row's plus a column's; "table": one of every token of a grid
  int position_rows = 14;                     // of the table's grid; other grids: antialiased bicubic resampling (timm)
  int position_columns = 14;
  int width = 96;
  int num_layers = 3;
  int num_heads = 6;
  int mlp_width = 384;
  std::string activation = "gelu";   // "gelu" (erf), "quick_gelu" (x sigmoid(1.702 x), CLIP), "gelu_tanh", "relu"
  bool layer_scale = false;          // a learned factor per channel of what a block adds (CaiT, InternViT)
  bool pre_norm = false;             // a LayerNorm before the first block (CLIP)
  bool final_norm = true;            // a LayerNorm behind the last
  bool residual_after_norm = false;  // the MLP's residual starts behind its norm: y = n(x) + mlp(n(x))
  bool relative_bias = true;         // learned bias per head and 2-D offset of two tokens
  int max_side = 18;                 // vision tokens along either side at most
  double norm_eps = 1e-6;
  std::string features = "patches";  // what leaves the encoder: "patches", "all" (class token first), "class"
  // Blocks, counted from 0 and ascending, whose outputs are injected too: those behind the k-th named block, through a
  // projector of their own, are added to the image tokens behind decoder layer k (DeepStack, arXiv 2406.04334).
  std::vector<int> deepstack_layers = {};
};

struct MoeConfig {
  int num_experts = 8;
  int top_k = 2;
  int hidden = 128;                      // F: width of one expert
  std::string activation = "swiglu";     // "swiglu": w2(silu(w1 x) * w3 x); "gelu" (exact) or "relu": w2 act(w1 x)
  bool expert_bias = false;              // added after either matrix of an expert
  int shared_hidden = 0;                 // width of the expert that every token also passes; 0 = none
  std::string router_softmax = "after";  // "after" top-k (Mixtral) or "before" (Switch; needed when top_k is 1)
  bool router_bias = false;
  bool renormalise = false;      // softmax before: the gates of the k chosen are divided by their sum (Qwen3)
  bool bias_balancing = false;   // DeepSeek (arXiv 2408.15664): chosen by score + bias, weighed by score
  double noise_scale = 1.0;      // factor of the whole noise; Shazeer 2017 has 1
  double noise_epsilon = 1e-2;   // Shazeer 2017: floor of the learned noise's standard deviation
  bool noisy = true;             // noise in training only
  double capacity_factor = 2.0;  // C = max(4, ceil(top_k * T / num_experts * factor)); 0 = no limit
  // Who keeps a place where an expert overflows in training: "position", "choice" (all first choices before the second
  // ones), "probability" (the highest gates) or "batch_priority" (tokens by their highest gate; V-MoE).
  std::string drop_order = "position";
  // In training only: "output" zeroes an expert's output for a token (EOM, arXiv 2212.07571), "hidden" drops channels
  // of the experts' hidden layer (Switch), "expert" closes whole experts for a step, whose tokens are routed elsewhere.
  std::string dropout = "output";
  double dropout_rate = 0;
};

struct DecoderConfig {
  int vocab_size = 768;
  int width = 96;
  int num_layers = 3;
  int num_heads = 4;
  int num_kv_heads = 4;
  int head_dim = 24;
  std::string positions = "rope";  // "rope", or "learned": a table of max_context rows added to the tokens
  std::string rope = "1d";         // "1d", or "mrope2d": an image token turns by its row and column (Qwen2-VL)
  double rope_theta = 10000.0;
  double rope_fraction = 0.5;     // leading channels of a head that are rotated
  bool rope_interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + half)
  std::string norm = "rms";       // "rms", or "layer": LayerNorm with a bias
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
  std::vector<int> dense_layers = {};  // layers, counted from 0, with a plain MLP that nobody routes (Qwen's
                                       // mlp_only_layers; DeepSeek's first_k_dense_replace n is 0..n-1)
  int dense_hidden = 0;                // width of that MLP; its activation and biases are the experts'
  MoeConfig moe;                       // of all other layers
};

struct ImageConfig {
  int cell_size = 32;                // pixels along one image token's side: token_size x projector's shuffle
  std::string resize = "fit";        // "fit": the geometry is kept, the grid follows it; "crop": one square
                                     // of it; "stretch": all of it, pressed into that square
  std::string resample = "bicubic";  // filter of the resize, antialiased: "bicubic" or "bilinear"
  int max_cells = 36;                // "fit": image tokens of one image at most
  int max_side_cells = 9;            // "fit"
  int resize_side = 256;             // "crop": length of the shorter side after the resize
  int crop_side = 224;               // "crop", "stretch": sides of the square
  std::string crop_offset = "even";  // "crop": half of an odd rest goes to the even number (torchvision, timm), or
                                     // "floor": down (Hugging Face's CLIPImageProcessor)
  std::array<double, 3> mean = {0.5, 0.5, 0.5};  // of red, green, blue in 0..1; a single number stands for all three
  std::array<double, 3> std = {0.25, 0.25, 0.25};
  int max_images = 1;  // images of one prompt at most
};

struct ModelConfig {
  std::string model_type = "sparsefusion";
  std::string preset = "tiny";
  ImageConfig image;
  VisionConfig vision;
  std::string projector = "shuffle2";  // a two-layer GELU MLP on: "shuffle2" 2x2 vision tokens side by side; "mlp"
                                       // every token by itself; "cls" the class token, the image's one image token;
                                       // "none": the model reads no images, `image` and `vision` do not count
  bool projector_norm = true;          // a LayerNorm before it (LLaVA has none)
  int projector_hidden = 0;            // width between its layers; 0 = twice the decoder's
  bool modality_embedding = true;
  DecoderConfig decoder;
  std::string prompt_template = "plain";  // "plain", "llava-1.5" or "mistral" (engine/text/prompt.h)
  bool single_turn = false;          // trained on single questions: of a conversation only the last question counts,
                                     // with its image or the one before it that is nearest
  bool normalize_questions = false;  // trained on questions of one line without capitals (normalized_question)

  bool has_vision() const { return projector != "none"; }
};

// Leading channels of a head that rotary positions turn; even, 0 with learned positions.
int rotated_channels(const DecoderConfig& config);

// Whether the decoder's layer is a plain MLP, and the layers that are not, ascending.
bool is_dense(const DecoderConfig& config, int layer);
std::vector<int> routed_layers(const DecoderConfig& config);

// Vision tokens along one side that the projector joins to one image token.
int projector_shuffle(const std::string& projector);

// Which image tokens an image of a grid of cells becomes: `whole` that stand for all of it, then one a cell.
struct ImageTokenRule {
  int whole = 0;
  bool cells = true;
  int count(int rows, int columns) const { return whole + (cells ? rows * columns : 0); }
};
ImageTokenRule image_token_rule(const ModelConfig& config);

// Image tokens of one image at most.
int max_image_tokens(const ModelConfig& config);

// Effect: changes the projector, and with it the size of a cell, so that images keep their pixels.
void set_projector(ModelConfig& config, const std::string& projector);

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

// The named presets of sparsefusion-train: "toy" (tests and smoke runs), "tiny" (the bundled demo), "seed" (the
// original SparseFusion), "small", "base".
// Errors: InvalidArgument listing the names.
ModelConfig model_preset(const std::string& name);

// Errors: InvalidArgument (field "config.json") for anything but an object whose sizes are positive and consistent.
ModelConfig parse_model_config(std::string_view json_text);
std::string to_json(const ModelConfig& config);

// The number of weights of such a model, from the sizes alone: nothing is allocated. A double, because hostile sizes
// overflow 64 bits. REQUIRES: a config that parse_model_config() accepts.
double num_weights(const ModelConfig& config);

}  // namespace sf
