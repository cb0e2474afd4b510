// Chat messages -> the token ids of one prompt, by a template of config.json's `prompt_template`:
//
//      plain      <image> x tokens of the image, <question>, the text; the answer and </s> follow at once
//                 (without <question> where the vocabulary has none)
//      llava-1.5  <s>USER: <image>\n...text ASSISTANT:   then   answer</s>USER: ...
//      mistral    <s>[INST] <image>\n...text [/INST]     then   answer</s>[INST] ...
//
//   PromptBuilder builder(*tokenizer, template_tokens(*tokenizer), prompt_template("llava-1.5"));
//   builder.add_image(36, 6, 6);
//   builder.add_question("what shape is the red object?");
//   PromptTokens prompt = std::move(builder).finish();
//
// Images of a message come before its text, so that their keys and values can be shared by every question about them.
// Control tokens come from the template alone: what a user writes is not parsed for them.
// A PromptBuilder: one thread only. The functions are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace sf {

// Ids of the template's control pieces; -1 where the vocabulary has none.
struct TemplateTokens {
  int image = -1, question = -1, eos = -1, pad = -1;
};

// Errors: InvalidArgument (field "tokenizer.model") if the vocabulary lacks one that this project's own models need.
TemplateTokens template_tokens(const Tokenizer& tokenizer);

// A to Z become a to z, tabs and line ends spaces; all else stays. The tokenizer removes
// spaces at the ends and runs of them.
std::string normalized_question(std::string_view text);

// The text around a turn's parts.
struct PromptTemplate {
  std::string name = {};
  bool needs_image = false;       // a prompt without an image is refused: the model was never trained on one
  bool question_token = false;    // <question> before the text, where the vocabulary has it
  bool bos_in_text = false;       // the template itself begins with <s>: what follows stands inside the prompt
  bool system_in_turn = false;    // a system message stands inside the user's next turn
  std::string system_after = {};  // behind a system message
  std::string user_before = {}, image_after = {}, user_after = {};
  std::string answer_before = {};  // an earlier answer ends in </s>

  // Bytes that a turn with at most `images` images takes beside its text.
  size_t overhead(size_t images) const {
    return system_after.size() + user_before.size() + images * image_after.size() + user_after.size() +
           answer_before.size();
  }
};

// Errors: InvalidArgument (field "prompt_template") listing the names.
const PromptTemplate& prompt_template(const std::string& name);

// The first count - rows*columns image tokens stand for the whole image (a class token); the others lie on it as a
// grid, row-major.
struct ImageSpan {
  int begin = 0;  // index into ids
  int count = 0;  // image tokens
  int rows = 0, columns = 0;
};

struct PromptTokens {
  std::vector<int> ids;           // TemplateTokens::image where an image's tokens stand
  std::vector<ImageSpan> images;  // in order
};

// (time, row, column) of token `index` for M-RoPE (Qwen2-VL): text has all three equal, one more than the greatest
// before it; the tokens of an image share one time and have their rows and columns in the grid. `images` in order.
std::array<int64_t, 3> mrope_position(const std::vector<ImageSpan>& images, int index);

class PromptBuilder {
 public:
  PromptBuilder(const Tokenizer& tokenizer, TemplateTokens tokens,
                const PromptTemplate& form = prompt_template("plain"));
  void add_system(std::string_view text);
  // An image of the turn that the next question ends. REQUIRES: image_tokens >= rows * columns (ImageSpan).
  void add_image(int image_tokens, int rows, int columns);
  // Errors, here and below: InvalidArgument (field "question") for text that the tokenizer cannot encode.
  void add_question(std::string_view text);
  // A finished earlier turn.
  void add_answer(std::string_view text);
  PromptTokens finish() &&;

 private:
  void open_turn();
  void flush();  // text so far -> ids
  void add_control(int id, int count = 1);

  const Tokenizer& tokenizer_;
  TemplateTokens tokens_;
  const PromptTemplate& form_;
  PromptTokens prompt_;
  std::string text_;    // not encoded yet
  std::string system_;  // to stand inside the next turn
  bool in_turn_ = false;
  bool begun_ = false;  // a control token or a text stands before text_
};

}  // namespace sf
