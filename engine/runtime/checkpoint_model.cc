#include "engine/runtime/checkpoint_model.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/model/initial_weights.h"
#include "engine/runtime/mapped_tensor.h"
#include "engine/runtime/weights.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "engine/text/tokenizer_config.h"

namespace sf {
namespace {

constexpr double kSlackBytes = 256 << 20;
constexpr double kLeastWeightBytes = 2;  // f16 and bf16
const std::string kGenerationName = "generation_config.json";
const std::string kPreprocessorName = "preprocessor_config.json";
const std::string kTokenizerConfigName = "tokenizer_config.json";

// The file is for other programs: config.json decides. What it says of the same things has to be the same.
void check_preprocessor(std::string_view json_text, const ImageConfig& image) {
  const nlohmann::json json = parse_strict_json(json_text, kPreprocessorName);
  if (!json.is_object()) throw invalid_argument(kPreprocessorName, kPreprocessorName, ": must be an object");
  const nlohmann::json meant = nlohmann::json::parse(preprocessor_json(image));
  for (const auto& [key, value] : json.items()) {
    const auto found = meant.find(key);
    if (found == meant.end() || *found == value) continue;
    throw invalid_argument(kPreprocessorName, kPreprocessorName, ": ", key, " is not what config.json says");
  }
}

std::shared_ptr<const Tokenizer> load_tokenizer(const VerifiedCheckpoint& checkpoint, const DecoderConfig& decoder) {
  if (checkpoint.has_file(kTokenizerConfigName)) {
    const TokenizerConfig config = parse_tokenizer_config(checkpoint.file(kTokenizerConfigName));
    const std::string_view model = config.characters.empty() ? checkpoint.file("tokenizer.model") : std::string_view();
    return make_tokenizer(config, model, decoder.vocab_size);
  }
  std::shared_ptr<const Tokenizer> tokenizer = load_sentencepiece(checkpoint.file("tokenizer.model"));
  if (tokenizer->vocab_size() > decoder.vocab_size) {
    throw invalid_argument("tokenizer.model", "tokenizer.model: ", tokenizer->vocab_size(),
                           " pieces, but config.json says decoder.vocab_size ", decoder.vocab_size);
  }
  return tokenizer;
}

}  // namespace

SamplingParams parse_generation_config(std::string_view json_text) {
  const nlohmann::json json = parse_strict_json(json_text, kGenerationName);
  if (!json.is_object()) throw invalid_argument(kGenerationName, kGenerationName, ": must be an object");
  const auto number = [&](const char* key, double fallback, double low, double high) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return fallback;
    if (!found->is_number() || !(*found >= low && *found <= high)) {
      throw invalid_argument(kGenerationName, kGenerationName, ": ", key, " must be a number from ", low, " to ", high);
    }
    return found->get<double>();
  };
  SamplingParams sampling;
  const auto sample = json.find("do_sample");
  if (sample == json.end() || *sample != true) return sampling;
  // What transformers samples with where the file does not say.
  sampling.temperature = static_cast<float>(number("temperature", 1.0, 0, 2));
  sampling.top_p = static_cast<float>(number("top_p", 1.0, 0, 1));
  sampling.top_k = static_cast<int>(number("top_k", 50, 0, 1 << 24));
  return sampling;
}

CheckpointModel load_checkpoint_model(const VerifiedCheckpoint& checkpoint) {
  torch::NoGradGuard no_grad;
  CheckpointModel out;
  out.config = parse_model_config(checkpoint.file("config.json"));
  if (out.config.has_vision() && checkpoint.has_file(kPreprocessorName)) {
    check_preprocessor(checkpoint.file(kPreprocessorName), out.config.image);
  }
  out.tokenizer = load_tokenizer(checkpoint, out.config.decoder);
  if (checkpoint.has_file(kGenerationName)) out.sampling = parse_generation_config(checkpoint.file(kGenerationName));
  // Before anything is allocated: sizes that the file does not bear out must not take the machine's memory. What
  // differs by less is built and compared, so that the error can name the tensor.
  const std::string_view weights = checkpoint.file("model.safetensors");
  if (num_weights(out.config) * kLeastWeightBytes > static_cast<double>(weights.size()) + kSlackBytes) {
    throw invalid_argument("config.json", "config.json: a model of ", num_weights(out.config),
                           " weights, and model.safetensors has ", weights.size(), " bytes");
  }
  {
    const NoInitialWeights loaded_below;
    out.vlm = std::make_shared<Vlm>(out.config);
  }
  load_tensors(weights, "model.safetensors", out.vlm->named_parameters());
  move_to_one_mapping(out.vlm->parameters());
  out.vlm->eval();
  return out;
}

}  // namespace sf
