#include "engine/input/prompt.h"

#include "engine/base/error.h"

namespace sf {

TemplateTokens template_tokens(const Tokenizer& tokenizer) {
  TemplateTokens tokens{tokenizer.piece_id("<image>"), tokenizer.piece_id("<question>"),
                        tokenizer.eos_id(), tokenizer.pad_id()};
  if (tokens.image < 0 || tokens.question < 0 || tokens.eos < 0) {
    throw invalid_argument("tokenizer.model",
                           "tokenizer.model: the vocabulary lacks one of <image> <question> </s>");
  }
  return tokens;
}

void PromptBuilder::add_image(int image_tokens, int rows, int columns) {
  prompt_.images.push_back({static_cast<int>(prompt_.ids.size()), image_tokens, rows, columns});
  prompt_.ids.insert(prompt_.ids.end(), image_tokens, tokens_.image);
}

void PromptBuilder::add_question(std::string_view text) {
  const std::vector<int> ids = tokenizer_.encode(text);
  prompt_.ids.push_back(tokens_.question);
  prompt_.ids.insert(prompt_.ids.end(), ids.begin(), ids.end());
}

void PromptBuilder::add_answer(std::string_view text) {
  const std::vector<int> ids = tokenizer_.encode(text);
  prompt_.ids.insert(prompt_.ids.end(), ids.begin(), ids.end());
  prompt_.ids.push_back(tokens_.eos);
}

}  // namespace sf
