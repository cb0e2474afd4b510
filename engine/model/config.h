// config.json of a checkpoint: every size and switch of the model. Plain values; no torch.
//
//   ModelConfig config = parse_model_config(json_text);   // an unknown key names itself; a missing one has its default
//   std::string text = to_json(config);
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sf {

// Groups of the stem's group normalisation; its channels are multiples of it.
inline constexpr int kStemGroups = 4;

struct VisionConfig {
  int token_size = 16;                        // pixels of the resized picture along one vision token's side
  std::string stem = "conv";                  // "conv": several convolutions; "patch": one of token_size x token_size
  std::vector<int> stem_channels = {24, 48};  // before the last, which gives `width`
  std::vector<int> stem_strides = {4, 2, 2};  // their product is token_size
  bool coordinates = true;                    // two more input channels: x and y of the picture, -1..1
  int width = 96;
  int num_layers = 3;
  int num_heads = 6;
  int mlp_width = 384;
  bool relative_bias = true;                  // learned bias per head and 2-D offset of two tokens
  int max_side = 18;                          // vision tokens along either side at most
  double norm_eps = 1e-6;
};

struct MoeConfig {
  int num_experts = 8;
  int top_k = 2;
  int hidden = 128;                        // F: width of one expert
  std::string activation = "swiglu";       // "swiglu": w2(silu(w1 x) * w3 x); "gelu" (exact) or "relu": w2 act(w1 x)
  bool expert_bias = false;                // added after either matrix of an expert
  int shared_hidden = 0;                   // width of the expert that every token also passes; 0 = none
  std::string router_softmax = "after";    // "after" top-k (Mixtral) or "before" (Switch; needed when top_k is 1)
  bool router_bias = false;
  bool renormalise = false;                // softmax before: the gates of the k chosen are divided by their sum (Qwen3)
  bool bias_balancing = false;             // DeepSeek (arXiv 2408.15664): chosen by score + bias, weighed by score
  double noise_scale = 1.0;                // factor of the whole noise; Shazeer 2017 has 1
  double noise_epsilon = 1e-2;             // Shazeer 2017: floor of the learned noise's standard deviation
  bool noisy = true;                       // noise in training only
  double capacity_factor = 2.0;            // C = max(4, ceil(top_k * T / num_experts * factor)); 0 = no limit
  // Who keeps a place where an expert overflows in training: "position", "choice" (all first choices before the second
  // ones), "probability" (the highest gates) or "batch_priority" (tokens by their highest gate; V-MoE).
  std::string drop_order = "position";
  // In training only: "output" zeroes an expert's output for a token (EOM, arXiv 2212.07571), "hidden" drops channels of
  // the experts' hidden layer (Switch), "expert" closes whole experts for a step, whose tokens are routed elsewhere.
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
  std::string positions = "rope";          // "rope", or "learned": a table of max_context rows added to the tokens
  std::string rope = "1d";                 // "1d", or "mrope2d": an image token turns by its row and column (Qwen2-VL)
  double rope_theta = 10000.0;
  double rope_fraction = 0.5;              // leading channels of a head that are rotated
  bool rope_interleaved = false;           // pairs (2i, 2i+1) instead of (i, i + half)
  std::string norm = "rms";                // "rms", or "layer": LayerNorm with a bias
  double norm_eps = 1e-6;
  bool residual_after_norm = false;        // the feed-forward's residual starts behind its norm: y = n(x) + moe(n(x))
  bool qk_norm = false;                    // RMSNorm over the channels of each query and key head, before rotation
  bool attention_bias = false;             // on the query, key and value projections
  bool attention_out_bias = false;
  double attention_scale = 0;              // of the scores; 0 = 1/sqrt(head_dim)
  bool scale_embedding = true;             // token embeddings times sqrt(width)
  bool tied_head = true;                   // the output matrix is the embedding table
  bool head_bias = false;                  // on the logits
  int max_context = 512;                   // prompt and answer together
  MoeConfig moe;
};

struct ImageConfig {
  int cell_size = 32;                      // pixels along one image token's side: token_size x projector's shuffle
  int max_cells = 36;                      // image tokens of one picture at most
  int max_side_cells = 9;
  double mean = 0.5, std = 0.25;           // of pixel values in 0..1
};

struct ModelConfig {
  std::string model_type = "sparsefusion";
  std::string preset = "tiny";
  ImageConfig image;
  VisionConfig vision;
  // "shuffle2": 2x2 vision tokens -> one image token, LayerNorm and a two-layer MLP; "mlp": without the shuffle;
  // "none": the model reads no pictures, and the sections `image` and `vision` do not count.
  std::string projector = "shuffle2";
  bool modality_embedding = true;
  DecoderConfig decoder;
  std::string prompt_template = "plain";   // "plain", "llava-1.5" or "mistral" (engine/input/prompt.h)

  bool has_vision() const { return projector != "none"; }
};

// Leading channels of a head that rotary positions turn; even, 0 with learned positions.
int rotated_channels(const DecoderConfig& config);

// The named presets of sparsefusion-train: "toy" (tests and smoke runs), "tiny" (the bundled demo), "small",
// "base".
// Errors: InvalidArgument listing the names.
ModelConfig model_preset(const std::string& name);

// Errors: InvalidArgument (field "config.json") for anything but an object whose sizes are positive and consistent.
ModelConfig parse_model_config(std::string_view json_text);
std::string to_json(const ModelConfig& config);

// The number of weights of such a model, from the sizes alone: nothing is allocated. A double, because hostile sizes
// overflow 64 bits. REQUIRES: a config that parse_model_config() accepts.
double num_weights(const ModelConfig& config);

}  // namespace sf
