// The original SparseFusion (seemore's seeMoE.py): a state_dict of VisionMoELanguageModel -> our config.json and the
// plan of its tensors. That model's conventions: a ViT with one class token that alone goes to the decoder, learned
// positions, LayerNorm with the feed-forward's residual taken behind it, attention scores times width^-0.5, ReLU
// feed-forwards and experts with biases, a noisy top-2 router with a bias, an untied head with a bias, characters as
// tokens.
//
//   TorchFile source("seemore.pth");
//   SeemoreImport import = plan_seemore_import(source);
//   check_plan(import.plan, source);
//
// Thread-safe: free functions.
#pragma once

#include <string>

#include "engine/import/plan.h"

namespace sf {

struct SeemoreImport {
  std::string config_json;  // ours
  int64_t vocab_size = 0;
  ImportPlan plan;
};

// Sizes are those of the state_dict's tensors; their layout is the original's. Its top_k (2) and side of an image (96)
// are not in the file. Errors: InvalidArgument naming the tensor that is missing or has no such shape.
SeemoreImport plan_seemore_import(const TensorSource& source);

}  // namespace sf
