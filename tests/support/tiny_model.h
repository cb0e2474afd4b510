// A small random model as a complete checkpoint directory, and folders that vanish with their test.
#pragma once

#include <filesystem>
#include <string>

#include "engine/model/vlm.h"
#include "trainer/data/rng.h"

namespace sf::test {

// A fresh empty folder; removed with everything in it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Two layers, four experts, top-2; `vocab_size` of tiny_tokenizer_model().
ModelConfig tiny_config();

// The bytes of a tokenizer trained on a little of the generator's text; the same every time.
const std::string& tiny_tokenizer_model();

// Random weights, scaled so that greedy answers vary. The same seed gives the same model.
std::shared_ptr<Vlm> tiny_vlm(uint64_t seed);

// Effect: writes a checkpoint of `vlm`, whose tokenizer is tiny_tokenizer_model(), into `folder`.
void write_checkpoint_of(const Vlm& vlm, const std::filesystem::path& folder);
// The same of tiny_vlm(seed).
void write_tiny_checkpoint(const std::filesystem::path& folder, uint64_t seed);

// An encoded image of a random scene.
std::string random_image(uint64_t seed, int width, int height);

}  // namespace sf::test
