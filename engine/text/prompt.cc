#include "engine/text/prompt.h"

#include <algorithm>

#include "engine/base/error.h"

namespace sf {
namespace {

const std::vector<PromptTemplate>& templates() {
  static const std::vector<PromptTemplate> table = {
      {.name = "plain", .needs_image = true, .question_token = true},
      {.name = "llava-1.5",
       .system_after = " ",
       .user_before = "USER: ",
       .image_after = "\n",
       .user_after = " ASSISTANT:",
       .answer_before = " "},
      {.name = "mistral",
       .bos_in_text = true,
       .system_in_turn = true,
       .system_after = "\n\n",
       .user_before = "[INST] ",
       .image_after = "\n",
       .user_after = " [/INST]",
       .answer_before = " "},
  };
  return table;
}

}  // namespace

const PromptTemplate& prompt_template(const std::string& name) {
  std::string known;
  for (const PromptTemplate& form : templates()) {
    if (form.name == name) return form;
    known += (known.empty() ? "" : ", ") + form.name;
  }
  throw invalid_argument("prompt_template", "prompt_template: ", name, " is unknown; known: ", known);
}

TemplateTokens template_tokens(const Tokenizer& tokenizer) {
  TemplateTokens tokens{tokenizer.token_id("<image>"), tokenizer.token_id("<question>"), tokenizer.eos_id(),
                        tokenizer.pad_id()};
  if (tokens.image < 0 || tokens.question < 0 || tokens.eos < 0) {
    throw invalid_argument("tokenizer.model", "tokenizer.model: the vocabulary lacks one of <image> <question> </s>");
  }
  return tokens;
}

std::string normalized_question(std::string_view text) {
  std::string normalized(text);
  for (char& c : normalized) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return normalized;
}

std::array<int64_t, 3> mrope_position(const std::vector<ImageSpan>& images, int index) {
  int64_t saved = 0;  // positions that the images before did not take
  for (const ImageSpan& span : images) {
    if (index < span.begin) break;
    const int64_t start = span.begin - saved;
    const int heading = span.count - span.rows * span.columns;  // a class token goes before the grid, like text
    const int64_t grid_start = start + heading;
    if (index < span.begin + heading) break;
    if (index < span.begin + span.count) {
      const int cell = index - span.begin - heading;
      return {grid_start, grid_start + cell / span.columns, grid_start + cell % span.columns};
    }
    saved += span.rows * span.columns - std::max(span.rows, span.columns);
  }
  const int64_t position = index - saved;
  return {position, position, position};
}

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, TemplateTokens tokens, const PromptTemplate& form)
    : tokenizer_(tokenizer), tokens_(tokens), form_(form) {
  if (!tokenizer.add_bos()) return;
  prompt_.ids.push_back(tokenizer.bos_id());
  begun_ = form.bos_in_text;
}

void PromptBuilder::flush() {
  if (text_.empty()) return;
  const std::vector<int> ids = begun_ ? tokenizer_.encode_inside(text_) : tokenizer_.encode(text_);
  prompt_.ids.insert(prompt_.ids.end(), ids.begin(), ids.end());
  text_.clear();
  begun_ = true;
}

void PromptBuilder::add_control(int id, int count) {
  flush();
  prompt_.ids.insert(prompt_.ids.end(), static_cast<size_t>(count), id);
  begun_ = true;
}

void PromptBuilder::open_turn() {
  if (in_turn_) return;
  in_turn_ = true;
  text_ += form_.user_before;
}

void PromptBuilder::add_system(std::string_view text) {
  if (form_.question_token) return add_question(text);  // plain knows no system
  (form_.system_in_turn ? system_ : text_) += std::string(text) + form_.system_after;
}

void PromptBuilder::add_image(int image_tokens, int rows, int columns) {
  open_turn();
  flush();
  prompt_.images.push_back({static_cast<int>(prompt_.ids.size()), image_tokens, rows, columns});
  add_control(tokens_.image, image_tokens);
  text_ += form_.image_after;
}

void PromptBuilder::add_question(std::string_view text) {
  open_turn();
  if (form_.question_token && tokens_.question >= 0) add_control(tokens_.question);
  text_ += system_;
  text_ += text;
  text_ += form_.user_after;
  system_.clear();
  in_turn_ = false;
  if (form_.question_token) flush();
}

void PromptBuilder::add_answer(std::string_view text) {
  text_ += form_.answer_before;
  text_ += text;
  add_control(tokens_.eos);
}

PromptTokens PromptBuilder::finish() && {
  flush();
  return std::move(prompt_);
}

}  // namespace sf
