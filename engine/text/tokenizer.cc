#include "engine/text/tokenizer.h"

#include <string>

#include "engine/base/utf8.h"

namespace sf {

std::string Detokenizer::push(int id) {
  std::string bytes = tokenizer_->bytes_of(id);
  if (bytes.empty()) return "";
  if (at_start_) {
    at_start_ = false;
    if (bytes.front() == ' ') bytes.erase(0, 1);
  }
  pending_ += bytes;
  return take_whole_utf8(pending_);
}

std::string Detokenizer::peek(int id) const {
  const std::string text = Detokenizer(*this).push(id);
  return text.empty() ? tokenizer_->token_text(id) : text;
}

std::string Detokenizer::finish() {
  // The end decides what the missing bytes left open: an incomplete character is one invalid sequence.
  const bool cut_off = !pending_.empty();
  pending_.clear();
  at_start_ = true;
  return cut_off ? "\xef\xbf\xbd" : "";
}

}  // namespace sf
