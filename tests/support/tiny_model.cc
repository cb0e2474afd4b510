#include "tests/support/tiny_model.h"

#include <cstdlib>

#include "engine/base/error.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "trainer/checkpointer.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::test {

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sparsefusion-XXXXXX").string();
  SF_CHECK(::mkdtemp(pattern.data()) != nullptr, "cannot make a temporary folder");
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

const std::string& tiny_tokenizer_model() {
  static const std::string model = [] {
    data::Rng rng(5);
    TokenizerTraining training;
    training.vocab_size = 512;
    training.control_symbols = {"<image>", "<question>"};
    return train_sentencepiece(data::tokenizer_corpus(rng, 4000), training);
  }();
  return model;
}

ModelConfig tiny_config() {
  ModelConfig config = model_preset("toy");
  config.decoder.num_kv_heads = 1;
  config.decoder.max_context = 128;
  config.decoder.moe.hidden = 16;
  config.decoder.moe.capacity_factor = 1.0;
  config.decoder.vocab_size = load_sentencepiece(tiny_tokenizer_model())->vocab_size();
  return config;
}

std::shared_ptr<Vlm> tiny_vlm(uint64_t seed) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  auto vlm = std::make_shared<Vlm>(tiny_config());
  for (auto& item : vlm->named_parameters()) {
    if (item.key().find("router") != std::string::npos) torch::nn::init::normal_(item.value(), 0, 0.3);
    if (item.key().find("attention") != std::string::npos && item.value().dim() == 2) item.value().mul_(2);
    if (item.key().find("experts") != std::string::npos) item.value().mul_(2);
  }
  vlm->eval();
  return vlm;
}

void write_checkpoint_of(const Vlm& vlm, const std::filesystem::path& folder) {
  CheckpointContent content;
  content.vlm = &vlm;
  content.tokenizer_model = tiny_tokenizer_model();
  content.golden_json = "{}\n";
  content.scores["score"] = 0.5;
  write_checkpoint(folder, content);
}

void write_tiny_checkpoint(const std::filesystem::path& folder, uint64_t seed) {
  write_checkpoint_of(*tiny_vlm(seed), folder);
}

std::string random_image(uint64_t seed, int width, int height) {
  data::Rng rng(seed);
  const data::Scene scene = data::generate_scene(rng, data::varied_scene_options(rng, width, height, 2, 6));
  return data::encode_png(data::render(scene, data::random_style(rng), rng));
}

}  // namespace sf::test
