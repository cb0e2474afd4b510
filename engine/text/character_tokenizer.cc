#include "engine/text/character_tokenizer.h"

#include <string_view>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf {
namespace {

// Bytes of the character that begins with `first`. REQUIRES: valid UTF-8.
size_t character_size(unsigned char first) { return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4; }

class CharacterTokenizer final : public Tokenizer {
 public:
  explicit CharacterTokenizer(const std::vector<std::string>& characters) : characters_(characters) {
    for (size_t i = 0; i < characters.size(); ++i) {
      const std::string& text = characters[i];
      const bool one =
          !text.empty() && is_valid_utf8(text) && character_size(static_cast<unsigned char>(text[0])) == text.size();
      if (!one || !ids_.emplace(text, static_cast<int>(i)).second) {
        throw invalid_argument("tokenizer_config.json",
                               "tokenizer_config.json: characters must each be one UTF-8 character, once");
      }
    }
  }

  int vocab_size() const override { return static_cast<int>(characters_.size()); }
  int bos_id() const override { return -1; }
  int eos_id() const override { return -1; }
  int pad_id() const override { return -1; }
  bool is_special(int) const override { return false; }
  std::string token_text(int id) const override { return characters_.at(static_cast<size_t>(id)); }
  std::string bytes_of(int id) const override { return token_text(id); }

  int token_id(std::string_view text) const override {
    const auto found = ids_.find(std::string(text));
    return found == ids_.end() ? -1 : found->second;
  }

  std::vector<int> encode(std::string_view text) const override {
    if (!is_valid_utf8(text)) throw invalid_argument("question", "question: text is not valid UTF-8");
    std::vector<int> ids;
    for (size_t at = 0; at < text.size();) {
      const std::string_view character = text.substr(at, character_size(static_cast<unsigned char>(text[at])));
      const int id = token_id(character);
      if (id < 0) throw invalid_argument("question", "question: this model's vocabulary has no '", character, "'");
      ids.push_back(id);
      at += character.size();
    }
    return ids;
  }

 private:
  std::vector<std::string> characters_;
  std::unordered_map<std::string, int> ids_;
};

}  // namespace

std::vector<std::string> shakespeare_characters() {
  std::vector<std::string> characters;
  for (const char c : std::string_view("\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) {
    characters.emplace_back(1, c);
  }
  return characters;
}

std::shared_ptr<const Tokenizer> make_character_tokenizer(const std::vector<std::string>& characters) {
  return std::make_shared<CharacterTokenizer>(characters);
}

}  // namespace sf
