// What sets the families of Hugging Face models apart, one file each (llama.cc, mixtral.cc, llava.cc) and one row each
// in registry.cc: the defaults of its class, and where the parts lie that other families have not.
//
//   const HfTextFamily* family = find_hf_text_family("mixtral");   // null for one that is unknown
//   family->plan_feed_forward(planner, hf.text, "decoder.block0.moe.", "model.layers.0.");
//
// Thread-safe: immutable tables.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/import/hf_config.h"
#include "engine/import/hf_planner.h"

namespace sf {

// A text model; attention and norms lie alike in all of them.
struct HfTextFamily {
  std::string_view model_type;  // of config.json
  // What its class in transformers takes for a key that is left out.
  int64_t intermediate_size = 0, max_context = 0;
  int64_t num_kv_heads = 0;  // 0 = num_attention_heads
  double norm_eps = 0, rope_theta = 0;
  bool has_window = false;     // sliding_window is read
  int64_t default_window = 0;  // 0 = none
  bool routed = false;         // has num_local_experts and num_experts_per_tok
  // Plans one layer's router and experts. `ours` begins their names, `theirs` those of the layer.
  void (*plan_feed_forward)(HfPlanner& planner, const HfText& text, const std::string& ours,
                            const std::string& theirs) = nullptr;
};

// A vision encoder and a projector around a text model.
struct HfVisionFamily {
  std::vector<std::string> text_prefixes;  // before embed_tokens and layers; hub's, then transformers 5's
  std::vector<std::string> head_prefixes;  // before lm_head
  std::string_view prompt_template;        // where the command line gives none
  // Effect: reads vision, image and image_token, with `out.text` read already. Errors: as read_hf_config.
  void (*read)(const nlohmann::json& config, const std::filesystem::path& directory, HfConfig& out) = nullptr;
  void (*plan)(HfPlanner& planner, const HfConfig& hf) = nullptr;
  // Effect: writes image, vision and projector of our config.json.
  void (*describe)(const HfConfig& hf, nlohmann::ordered_json& config) = nullptr;
};

extern const HfTextFamily kLlamaFamily, kMistralFamily;  // llama.cc
extern const HfTextFamily kMixtralFamily;                // mixtral.cc
extern const HfVisionFamily kLlavaFamily;                // llava.cc

// A class of transformers that can be imported.
struct HfArchitecture {
  std::string_view name;                   // of config.json's `architectures`
  const HfVisionFamily* vision = nullptr;  // null = text alone
};

// Null for one that is not in registry.cc.
const HfArchitecture* find_hf_architecture(std::string_view name);
const HfTextFamily* find_hf_text_family(std::string_view model_type);
// The names of all, for messages.
std::string supported_hf_text_families();
// supported_hf_architectures(): hf_config.h

}  // namespace sf
