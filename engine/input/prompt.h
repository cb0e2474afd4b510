// Chat messages -> the token ids of one prompt. Template "plain", in the order of the parts:
//
//   <image> x tokens of the picture ... <question> text            (the model's answer and </s> follow at once)
//
// Pictures of a message come before its text, so that their keys and values can be shared by every question about them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/input/tokenizer.h"

namespace sf {

// Ids of the template's control pieces.
struct TemplateTokens {
  int image = -1, question = -1, eos = -1, pad = -1;
};

// Errors: InvalidArgument (field "tokenizer.model") if the vocabulary lacks one.
TemplateTokens template_tokens(const Tokenizer& tokenizer);

// The first count - rows*columns image tokens stand for the whole picture (a class token); the others lie on it as a grid,
// row-major.
struct ImageSpan {
  int begin = 0;   // index into ids
  int count = 0;   // image tokens
  int rows = 0, columns = 0;
};

struct PromptTokens {
  std::vector<int> ids;          // TemplateTokens::image where a picture's tokens stand
  std::vector<ImageSpan> images;  // in order
};

class PromptBuilder {
 public:
  PromptBuilder(const Tokenizer& tokenizer, TemplateTokens tokens) : tokenizer_(tokenizer), tokens_(tokens) {}
  // REQUIRES: image_tokens >= rows * columns (ImageSpan).
  void add_image(int image_tokens, int rows, int columns);
  // Errors: InvalidArgument (field "question") for invalid UTF-8.
  void add_question(std::string_view text);
  // A finished earlier turn.
  void add_answer(std::string_view text);
  PromptTokens finish() && { return std::move(prompt_); }

 private:
  const Tokenizer& tokenizer_;
  TemplateTokens tokens_;
  PromptTokens prompt_;
};

}  // namespace sf
