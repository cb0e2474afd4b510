// A trained model -> a checkpoint in a store: config.json, model.safetensors, tokenizer.model,
// preprocessor_config.json, generation_config.json, golden.json, training_state/, and manifest.json last.
//
//   const Manifest m = write_checkpoint(directory, {.vlm = &vlm, .tokenizer_model = bytes, .step = step});
//
// One thread only: the training thread, for the model is read as it stands.
#pragma once

#include <filesystem>
#include <string>

#include "engine/checkpoint/manifest.h"
#include "engine/image/preprocess.h"
#include "engine/model/vlm.h"
#include "trainer/evaluator.h"

namespace sf {

struct CheckpointContent {
  const Vlm* vlm = nullptr;
  std::string tokenizer_model;  // bytes
  std::string golden_json;
  std::map<std::string, std::string> training_state;  // name -> bytes; empty = a checkpoint that cannot be resumed
  int64_t step = 0;
  std::string parent;  // digest
  std::map<std::string, double> scores;
  std::string evaluation_id;  // what `scores` were measured on
  std::vector<std::vector<int64_t>> expert_histogram, image_expert_histogram;
};

// Effect: writes every file into `directory` (which exists), the manifest last; returns it.
Manifest write_checkpoint(const std::filesystem::path& directory, const CheckpointContent& content);

// The model's pixels as an 8-bit image that preprocesses to them again.
Image image_of(const PixelValues& values, const ImageConfig& config);

// Images, questions and the model's own right answers whose top-2 logit margin is above 0.1, three of an image at most:
// what a server checks a new version with.
std::string make_golden(Vlm& vlm, const Tokenizer& tokenizer, const std::vector<Example>& examples);

}  // namespace sf
