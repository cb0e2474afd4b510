#include "engine/text/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/error.h"
#include "engine/base/strict_json.h"
#include "engine/text/character_tokenizer.h"
#include "engine/text/sentencepiece_tokenizer.h"

namespace sf {
namespace {

const std::string kName = "tokenizer_config.json";
constexpr int64_t kMaxId = 1 << 24;
constexpr std::array<std::pair<std::string_view, PrefixSpace>, 3> kPrefixSpaces = {
    {{"always", PrefixSpace::kAlways}, {"unspaced", PrefixSpace::kUnspaced}, {"first", PrefixSpace::kFirst}}};

template <typename... Args>
[[noreturn]] void fail(const Args&... reason) {
  throw invalid_argument(kName, kName, ": ", reason...);
}

class ImportedTokenizer final : public Tokenizer {
 public:
  ImportedTokenizer(std::shared_ptr<const Tokenizer> base, TokenizerConfig config, int vocab_size)
      : base_(std::move(base)), config_(std::move(config)), vocab_size_(vocab_size) {}

  int vocab_size() const override { return vocab_size_; }
  int bos_id() const override { return base_->bos_id(); }
  int eos_id() const override { return config_.eos_ids.front(); }
  int pad_id() const override { return base_->pad_id(); }
  bool is_end(int id) const override {
    return std::find(config_.eos_ids.begin(), config_.eos_ids.end(), id) != config_.eos_ids.end();
  }
  int image_id() const override { return config_.image_id; }
  bool imported() const override { return true; }
  bool add_bos() const override { return config_.add_bos && bos_id() >= 0; }

  std::vector<int> encode(std::string_view text) const override { return base_->encode(text); }
  std::vector<int> encode_inside(std::string_view text) const override { return base_->encode_inside(text); }
  int token_id(std::string_view text) const override {
    for (const auto& [id, content] : config_.added_tokens) {
      if (content == text) return id;
    }
    return base_->token_id(text);
  }
  std::string token_text(int id) const override {
    require_id(id);
    const auto found = config_.added_tokens.find(id);
    if (found != config_.added_tokens.end()) return found->second;
    return id < base_->vocab_size() ? base_->token_text(id) : "";
  }
  std::string display_text(int id) const override {
    return id < base_->vocab_size() ? base_->display_text(id) : with_plain_spaces(token_text(id));
  }
  bool is_special(int id) const override {
    require_id(id);
    return id >= base_->vocab_size() || base_->is_special(id) || is_end(id);
  }
  std::string bytes_of(int id) const override { return is_special(id) ? "" : base_->bytes_of(id); }

 private:
  void require_id(int id) const {
    SF_REQUIRE(id >= 0 && id < vocab_size_, "tokenizer: id out of range, got ", id, " of ", vocab_size_);
  }

  std::shared_ptr<const Tokenizer> base_;
  TokenizerConfig config_;
  int vocab_size_;
};

PrefixSpace parse_prefix_space(const std::string& name) {
  for (const auto& [known, value] : kPrefixSpaces) {
    if (known == name) return value;
  }
  fail("prefix_space must be always, unspaced or first, got ", name);
}

std::string name_of(PrefixSpace value) {
  for (const auto& [name, known] : kPrefixSpaces) {
    if (known == value) return std::string(name);
  }
  SF_CHECK(false, "tokenizer: no such prefix_space");
}

std::vector<std::string> parse_characters(const nlohmann::json& list) {
  if (!list.is_array()) fail("characters must be a list");
  std::vector<std::string> characters;
  for (const auto& character : list) {
    if (!character.is_string()) fail("characters must hold text");
    characters.push_back(character);
  }
  return characters;
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view json_text) {
  const nlohmann::json json = parse_strict_json(json_text, kName, /*max_depth=*/4);
  if (!json.is_object()) fail("must be an object");
  TokenizerConfig config;
  for (const auto& [key, value] : json.items()) {
    if (key == "format_version") {
      if (value != 1) fail("format_version must be 1, got ", value.dump());
    } else if (key == "add_bos") {
      if (!value.is_boolean()) fail("add_bos must be true or false");
      config.add_bos = value;
    } else if (key == "prefix_space") {
      config.prefix_space = parse_prefix_space(json_string(json, key, kName));
    } else if (key == "image_id") {
      config.image_id = static_cast<int>(json_int(json, key, -1, kMaxId, kName));
    } else if (key == "eos_ids") {
      for (const auto& id : value) {
        if (!id.is_number_integer() || id < 0 || id > kMaxId) fail("eos_ids must hold token ids");
        config.eos_ids.push_back(id);
      }
    } else if (key == "added_tokens") {
      for (const auto& token : value) {
        const auto id = static_cast<int>(json_int(token, "id", 0, kMaxId, kName));
        if (!config.added_tokens.emplace(id, json_string(token, "content", kName)).second)
          fail("added token ", id, " stands there twice");
      }
    } else if (key == "characters") {
      config.characters = parse_characters(value);
    } else {
      fail("'", key, "' is unknown");
    }
  }
  if (config.eos_ids.empty()) fail("eos_ids must name at least one token");
  return config;
}

std::string to_json(const TokenizerConfig& config) {
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  for (const auto& [id, content] : config.added_tokens) tokens.push_back({{"id", id}, {"content", content}});
  nlohmann::ordered_json json = {{"format_version", 1},
                                 {"add_bos", config.add_bos},
                                 {"eos_ids", config.eos_ids},
                                 {"image_id", config.image_id},
                                 {"added_tokens", tokens}};
  if (config.prefix_space != PrefixSpace::kAlways) json["prefix_space"] = name_of(config.prefix_space);
  if (!config.characters.empty()) json["characters"] = config.characters;
  return json.dump(2) + "\n";
}

std::shared_ptr<const Tokenizer> make_tokenizer(const TokenizerConfig& config, std::string_view model_bytes,
                                                int vocab_size) {
  std::shared_ptr<const Tokenizer> base = config.characters.empty()
                                              ? load_sentencepiece(model_bytes, config.prefix_space)
                                              : make_character_tokenizer(config.characters);
  if (base->vocab_size() > vocab_size) {
    throw invalid_argument("tokenizer.model", "tokenizer.model: ", base->vocab_size(), " pieces, and the model has ",
                           vocab_size);
  }
  std::vector<int> ids = config.eos_ids;
  if (config.image_id >= 0) ids.push_back(config.image_id);
  for (const auto& [id, content] : config.added_tokens) {
    ids.push_back(id);
    if (id < base->vocab_size() && base->token_text(id) != content) {
      fail("added token ", id, " is '", content, "', and the vocabulary says '", base->token_text(id), "'");
    }
  }
  for (const int id : ids) {
    if (id >= vocab_size) fail("token ", id, " is beyond the model's vocabulary of ", vocab_size);
  }
  return std::make_shared<ImportedTokenizer>(std::move(base), config, vocab_size);
}

}  // namespace sf
