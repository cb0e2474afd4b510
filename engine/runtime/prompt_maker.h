// Messages -> EnginePrompt: everything of a request that needs no torch.
//
//   const PromptMaker maker(tokenizer, model_config, image_limits);
//   std::shared_ptr<EnginePrompt> prompt = maker.make(messages);
//
// Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/image/image.h"
#include "engine/image/preprocess.h"
#include "engine/model/config.h"
#include "engine/runtime/choice_trie.h"
#include "engine/runtime/sequence.h"
#include "engine/text/tokenizer.h"

namespace sf {

// The preprocessing that config.json asks for.
PreprocessOptions preprocess_options(const ImageConfig& config);

// For warming up: a square grey image where the model reads any, then end tokens, cut so that three tokens still fit.
std::shared_ptr<EnginePrompt> made_up_prompt(const ModelConfig& config, const Tokenizer& tokenizer, int text_tokens);

class PromptMaker {
 public:
  // config.decoder.max_context counts prompt and answer.
  PromptMaker(std::shared_ptr<const Tokenizer> tokenizer, const ModelConfig& config, ImageLimits limits);

  // Errors: those of Engine::estimate_cost.
  PromptCost estimate_cost(const std::vector<Message>& messages) const;
  // Errors: those of Engine::prepare.
  std::shared_ptr<EnginePrompt> make(const std::vector<Message>& messages, const PrepareCheck& check = {}) const;
  // Errors: those of Engine::prepare_choices.
  std::shared_ptr<const ChoiceTrie> make_choices(const std::vector<std::string>& texts) const;

 private:
  void check(const std::vector<Message>& messages) const;
  std::vector<int> answer_tokens(const std::string& text) const;
  PromptCost cost_of(const std::vector<Message>& messages) const;
  std::shared_ptr<EnginePrompt> prompt_of(const std::vector<Message>& messages, const PrepareCheck& check) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  TemplateTokens tokens_;
  const PromptTemplate* form_;
  PreprocessOptions preprocess_;
  ImageTokenRule image_tokens_;
  bool single_turn_, normalize_questions_;
  int max_images_, max_context_;
  ImageLimits limits_;
  size_t longest_piece_ = 1;  // bytes of text that one token can stand for
};

}  // namespace sf
