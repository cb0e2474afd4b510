#include "engine/text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

// Bytes of a protobuf message behind those of another override it: normalizer_spec (field 3) { add_dummy_prefix (3): 0
// }.
constexpr std::string_view kWithoutPrefix("\x1a\x02\x18\x00", 4);

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string_view model_bytes, PrefixSpace prefix_space) : prefix_space_(prefix_space) {
    load(processor_, model_bytes);  // whole, so that an end which is cut off cannot swallow the override below
    if (prefix_space != PrefixSpace::kAlways) load(unprefixed_, std::string(model_bytes) + std::string(kWithoutPrefix));
  }

  int vocab_size() const override { return processor_.GetPieceSize(); }
  int bos_id() const override { return processor_.bos_id(); }
  int eos_id() const override { return processor_.eos_id(); }
  int pad_id() const override { return processor_.pad_id(); }

  std::vector<int> encode(std::string_view text) const override {
    const bool spaced = text.starts_with(' ') || text.starts_with(kSpaceMark);
    return encode_with(prefix_space_ != PrefixSpace::kAlways && spaced ? unprefixed_ : processor_, text);
  }
  std::vector<int> encode_inside(std::string_view text) const override {
    return prefix_space_ == PrefixSpace::kFirst ? encode_with(unprefixed_, text) : encode(text);
  }

  int token_id(std::string_view text) const override {
    const int id = processor_.PieceToId({text.data(), text.size()});
    return processor_.IdToPiece(id) == text ? id : -1;  // what the vocabulary lacks comes back as <unk>
  }

  std::string token_text(int id) const override {
    require_id(id);
    return processor_.IdToPiece(id);
  }
  std::string display_text(int id) const override { return with_plain_spaces(token_text(id)); }

  bool is_special(int id) const override {
    require_id(id);
    return processor_.IsControl(id) || processor_.IsUnused(id);
  }

  std::string bytes_of(int id) const override {
    require_id(id);
    if (is_special(id)) return "";
    const std::string& piece = processor_.IdToPiece(id);
    if (processor_.IsByte(id)) return std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    if (processor_.IsUnknown(id)) return "\xef\xbf\xbd";
    return with_plain_spaces(piece);
  }

 private:
  using Processor = sentencepiece::SentencePieceProcessor;

  static void load(Processor& processor, std::string_view model_bytes) {
    const auto status = processor.LoadFromSerializedProto({model_bytes.data(), model_bytes.size()});
    if (!status.ok()) throw invalid_argument("tokenizer.model", "tokenizer.model: not a SentencePiece model");
    if (processor.GetPieceSize() <= 0 || processor.eos_id() < 0) {
      throw invalid_argument("tokenizer.model", "tokenizer.model: the vocabulary has no </s>");
    }
  }

  static std::vector<int> encode_with(const Processor& processor, std::string_view text) {
    if (!is_valid_utf8(text)) throw invalid_argument("question", "question: text is not valid UTF-8");
    std::vector<int> ids;
    const auto status = processor.Encode({text.data(), text.size()}, &ids);
    SF_CHECK(status.ok(), "tokenizer: encoding failed: ", status.ToString());
    return ids;
  }

  void require_id(int id) const {
    SF_REQUIRE(id >= 0 && id < vocab_size(), "tokenizer: id out of range, got ", id, " of ", vocab_size());
  }

  Processor processor_;
  Processor unprefixed_;  // the same vocabulary without the space before a text; not loaded with kAlways
  PrefixSpace prefix_space_;
};

// The trainer reads lists as CSV, so every symbol is quoted.
std::string quoted_list(const std::vector<std::string>& symbols) {
  std::string list;
  for (const std::string& symbol : symbols) {
    if (!list.empty()) list += ',';
    list += '"';
    for (const char c : symbol) list += c == '"' ? std::string("\"\"") : std::string(1, c);
    list += '"';
  }
  return list;
}

}  // namespace

std::string with_plain_spaces(std::string_view piece) {
  std::string text;
  while (!piece.empty()) {
    const bool is_mark = piece.starts_with(kSpaceMark);
    text += is_mark ? ' ' : piece.front();
    piece.remove_prefix(is_mark ? kSpaceMark.size() : 1);
  }
  return text;
}

std::shared_ptr<const Tokenizer> load_sentencepiece(std::string_view model_bytes, PrefixSpace prefix_space) {
  return std::make_shared<SentencePieceTokenizer>(model_bytes, prefix_space);
}

std::string train_sentencepiece(const std::vector<std::string>& sentences, const TokenizerTraining& options) {
  SF_REQUIRE(!sentences.empty(), "tokenizer: no sentences to train on");
  std::unordered_map<std::string, std::string> arguments = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(options.vocab_size)},
      {"hard_vocab_limit", options.exact ? "true" : "false"},
      {"byte_fallback", "true"},
      {"character_coverage", "1.0"},
      {"split_digits", "true"},
      {"add_dummy_prefix", "true"},
      {"normalization_rule_name", "identity"},
      {"num_threads", "1"},
      {"unk_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"pad_id", "3"},
      {"minloglevel", "2"},
  };
  if (!options.control_symbols.empty()) arguments["control_symbols"] = quoted_list(options.control_symbols);
  if (!options.user_symbols.empty()) arguments["user_defined_symbols"] = quoted_list(options.user_symbols);

  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, sentences, &model);
  SF_REQUIRE(status.ok(), "tokenizer: training failed: ", status.ToString());
  return model;
}

}  // namespace sf
