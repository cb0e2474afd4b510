#include "trainer/checkpointer.h"

#include <chrono>

#include <nlohmann/json.hpp>

#include "engine/base/base64.h"
#include "engine/base/file.h"
#include "engine/image/image.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/weights.h"

namespace sf {
namespace {

constexpr float kGoldenMargin = 0.1f;
constexpr size_t kGoldenQuestions = 3;  // of one image, spread over all of them

}  // namespace

Image image_of(const PixelValues& values, const ImageConfig& config) {
  const int width = values.grid.columns * config.cell_size, height = values.grid.rows * config.cell_size;
  // Around a crop its edges go on to the size that is not resized.
  int left = 0, top = 0, full_width = width, full_height = height;
  if (config.resize == ImageResize::kCrop) {
    const int side = config.resize_side;
    const PixelValues place =
        preprocess({side, side, std::vector<uint8_t>(size_t{3} * side * side)}, preprocess_options(config));
    left = -place.left;
    top = -place.top;
    full_width = full_height = side;
  }
  Image image{full_width, full_height, std::vector<uint8_t>(size_t{3} * full_width * full_height)};
  const size_t plane = size_t(width) * height;
  for (int y = 0; y < full_height; ++y) {
    for (int x = 0; x < full_width; ++x) {
      const size_t from = size_t(std::clamp(y - top, 0, height - 1)) * width + std::clamp(x - left, 0, width - 1);
      for (size_t c = 0; c < 3; ++c) {
        const double value = values.values[c * plane + from] * config.std[c] + config.mean[c];
        image.pixels[3 * (size_t(y) * full_width + x) + c] =
            static_cast<uint8_t>(std::clamp(std::lround(value * 255.0), 0l, 255l));
      }
    }
  }
  return image;
}

Manifest write_checkpoint(const std::filesystem::path& directory, const CheckpointContent& content) {
  const ModelConfig& config = content.vlm->config();
  write_file(directory / "config.json", to_json(config));
  write_file(directory / "model.safetensors", serialize_tensors(content.vlm->named_parameters()));
  write_file(directory / "tokenizer.model", content.tokenizer_model);
  write_file(directory / "preprocessor_config.json", preprocessor_json(config.image));
  write_file(directory / "generation_config.json", "{\n  \"do_sample\": false,\n  \"max_new_tokens\": 256\n}\n");
  write_file(directory / "golden.json", content.golden_json);
  if (!content.training_state.empty()) std::filesystem::create_directories(directory / kTrainingStateFolder);
  for (const auto& [name, bytes] : content.training_state) write_file(directory / kTrainingStateFolder / name, bytes);
  Manifest manifest;
  manifest.step = content.step;
  manifest.parent = content.parent;
  manifest.created_unix =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  manifest.scores = content.scores;
  manifest.evaluation_id = content.evaluation_id;
  manifest.expert_histogram = content.expert_histogram;
  manifest.image_expert_histogram = content.image_expert_histogram;
  return write_checkpoint_manifest(directory, manifest);
}

std::string make_golden(Vlm& vlm, const Tokenizer& tokenizer, const std::vector<Example>& examples) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  VlmExaminee model(vlm, tokenizer);
  const auto visit = [&](int, const Example& example, const std::vector<AnsweredQuestion>& answers) {
    nlohmann::ordered_json questions = nlohmann::ordered_json::array();
    const size_t stride = std::max<size_t>(1, answers.size() / (kGoldenQuestions + 1));
    for (size_t i = 0; i < answers.size() && questions.size() < kGoldenQuestions; i += stride) {
      if (!answers[i].right || answers[i].margin <= kGoldenMargin) continue;
      const QuestionAnswer& asked = example.questions[i];
      questions.push_back({{"question", asked.question}, {"answer", asked.answer}, {"margin", answers[i].margin}});
    }
    if (questions.empty()) return;
    const std::string file =
        example.encoded.empty() ? encode_png(image_of(example.pixels, vlm.config().image)) : example.encoded;
    rows.push_back({{"image", encode_base64(file)}, {"questions", questions}});
  };
  model.ask(
      static_cast<int>(examples.size()), [&](int i) { return examples[static_cast<size_t>(i)]; }, visit);
  return nlohmann::ordered_json{{"format_version", 1}, {"cases", rows}}.dump() + "\n";
}

}  // namespace sf
