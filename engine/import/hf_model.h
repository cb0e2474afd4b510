// A Hugging Face model -> our config.json and the plan of its tensors. LLaVA (a CLIP tower, a two-layer projector, a
// Llama, Mistral or Mixtral text) and those texts alone. Which names a file uses (the hub's or transformers 5's) is
// seen from the names that are there; how the elements lie is fixed per model type.
//
//   HfConfig hf = read_hf_config(directory);
//   ShardedTensors source(directory);
//   HfImport import = plan_hf_import(hf, source, "llava-1.5");
//   check_plan(import.plan, source);
//
// Thread-safe: free functions.
#pragma once

#include <string>

#include "engine/import/hf_config.h"
#include "engine/import/plan.h"

namespace sf {

struct HfImport {
  std::string config_json;      // ours
  std::string tokenizer_json;   // tokenizer_config.json, ours (engine/text/tokenizer_config.h)
  std::string generation_json;  // ours
  ImportPlan plan;
};

// `prompt_template` "": "llava-1.5" for a model with vision, else "plain".
HfImport plan_hf_import(const HfConfig& hf, const TensorSource& source, const std::string& prompt_template);

}  // namespace sf
