// A verified checkpoint -> the model and its tokenizer, ready to use.
//
//   CheckpointModel model = load_checkpoint_model(open_checkpoint(store / "12"));
//   const std::vector<int> ids = model.tokenizer->encode("what colour is the square?");
//
// Thread-safe: free functions.
#pragma once

#include <memory>

#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/engine.h"
#include "engine/model/vlm.h"
#include "engine/text/tokenizer.h"

namespace sf {

struct CheckpointModel {
  ModelConfig config;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<Vlm> vlm;  // on the CPU, in evaluation mode
  SamplingParams sampling;   // of a request that says nothing: generation_config.json's, greedy where that says nothing
};

// Errors: InvalidArgument (field "generation_config.json").
SamplingParams parse_generation_config(std::string_view json_text);

// Errors: InvalidArgument or DataLoss naming the file or tensor at fault.
CheckpointModel load_checkpoint_model(const VerifiedCheckpoint& checkpoint);

}  // namespace sf
