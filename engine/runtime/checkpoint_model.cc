#include "engine/runtime/checkpoint_model.h"

#include "engine/base/error.h"
#include "engine/input/sentencepiece_tokenizer.h"
#include "engine/runtime/weights.h"

namespace sf {

CheckpointModel load_checkpoint_model(const VerifiedCheckpoint& checkpoint) {
  torch::NoGradGuard no_grad;
  CheckpointModel out;
  out.config = parse_model_config(checkpoint.file("config.json"));
  out.tokenizer = load_sentencepiece(checkpoint.file("tokenizer.model"));
  if (out.tokenizer->vocab_size() > out.config.decoder.vocab_size) {
    throw invalid_argument("tokenizer.model", "tokenizer.model: ", out.tokenizer->vocab_size(),
                           " pieces, but config.json says decoder.vocab_size ", out.config.decoder.vocab_size);
  }
  out.vlm = std::make_shared<Vlm>(out.config);
  load_tensors(checkpoint.file("model.safetensors"), "model.safetensors", out.vlm->named_parameters());
  out.vlm->eval();
  return out;
}

}  // namespace sf
