// The pieces that an explanation is made of, to compute it a second time in a test.
#pragma once

#include "engine/runtime/explain/explain_pass.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"

namespace sf::test {

struct ExplainParts {
  ExplainParts(const Vlm& vlm, const std::vector<Message>& messages)
      : tokenizer(load_sentencepiece(test::tiny_tokenizer_model())),
        maker(tokenizer, vlm.config(), {}),
        prompt(maker.make(messages)),
        model{vlm, tokenizer, at::kCPU, vlm.config().decoder.max_context},
        sequence(model, *prompt) {}
  // The sequence refers to what stands before it.
  ExplainParts(const ExplainParts&) = delete;
  ExplainParts& operator=(const ExplainParts&) = delete;

  std::shared_ptr<const Tokenizer> tokenizer;
  PromptMaker maker;
  std::shared_ptr<EnginePrompt> prompt;
  ExplainedModel model;
  ExplainSequence sequence;
};

}  // namespace sf::test
