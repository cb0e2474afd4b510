#include "engine/runtime/checkpoint_model.h"

#include "engine/base/error.h"
#include "engine/input/sentencepiece_tokenizer.h"
#include "engine/runtime/weights.h"

namespace sf {
namespace {

constexpr double kSlackBytes = 256 << 20;

}  // namespace

CheckpointModel load_checkpoint_model(const VerifiedCheckpoint& checkpoint) {
  torch::NoGradGuard no_grad;
  CheckpointModel out;
  out.config = parse_model_config(checkpoint.file("config.json"));
  out.tokenizer = load_sentencepiece(checkpoint.file("tokenizer.model"));
  if (out.tokenizer->vocab_size() > out.config.decoder.vocab_size) {
    throw invalid_argument("tokenizer.model", "tokenizer.model: ", out.tokenizer->vocab_size(),
                           " pieces, but config.json says decoder.vocab_size ", out.config.decoder.vocab_size);
  }
  // Before anything is allocated: sizes that the file does not bear out must not take the machine's memory. What differs
  // by less is built and compared, so that the error can name the tensor.
  const std::string_view weights = checkpoint.file("model.safetensors");
  if (num_weights(out.config) * sizeof(float) > static_cast<double>(weights.size()) + kSlackBytes) {
    throw invalid_argument("config.json", "config.json: a model of ", num_weights(out.config), " weights, and model.safetensors has ",
                           weights.size(), " bytes");
  }
  out.vlm = std::make_shared<Vlm>(out.config);
  load_tensors(weights, "model.safetensors", out.vlm->named_parameters());
  out.vlm->eval();
  return out;
}

}  // namespace sf
