// What a Hugging Face directory says about its model in JSON: config.json (text and vision), the image processor, the
// tokenizer's added tokens, how to generate. Keys that are left out have the defaults of that model's class in
// transformers.
//
//   const HfConfig hf = read_hf_config(directory);
//   const int64_t layers = hf.text.num_layers;
//
// Thread-safe: plain values and free functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace sf {

struct HfText {
  std::string model_type;  // "llama", "mistral" or "mixtral"
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
  int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  int64_t num_experts = 1, top_k = 1;
  int64_t max_context = 0;  // no further than a sliding window reaches, so that leaving the window out changes nothing
  double rope_theta = 0, norm_eps = 0;
  bool tied_head = false, attention_bias = false;
};

struct HfVision {
  int64_t hidden_size = 0, intermediate_size = 0, num_layers = 0, num_heads = 0, image_size = 0, patch_size = 0;
  double norm_eps = 0;
  std::string activation;   // "quick_gelu", "gelu" or "gelu_tanh"
  int64_t kept_layers = 0;  // the features are the output of this many layers
  bool keep_class_token = false;
  bool projector_bias = true;
};

struct HfImage {
  int64_t resize_side = 0, crop_side = 0;
  std::string resample = "bicubic";  // or "bilinear"
  std::vector<double> mean, std;
};

struct HfConfig {
  std::string architecture;
  bool has_vision = false;
  HfText text;
  HfVision vision;
  HfImage image;
  int64_t image_token = -1;             // -1 = none
  std::string prefix_space = "always";  // engine/text/tokenizer_config.h
  bool add_bos = true;
  std::vector<int64_t> eos;
  std::map<int64_t, std::string> added_tokens;  // id -> text
  nlohmann::ordered_json generation;            // ours: do_sample, temperature, top_p, top_k, max_new_tokens
};

// The architectures that can be imported, for messages.
std::string supported_hf_architectures();

// Errors: NotFound or InvalidArgument naming the file and the key; an architecture or switch that the engine cannot
// express is refused by its name.
HfConfig read_hf_config(const std::filesystem::path& directory);

}  // namespace sf
