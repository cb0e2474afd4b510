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

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(std::string_view model_bytes) {
    const auto status = processor_.LoadFromSerializedProto({model_bytes.data(), model_bytes.size()});
    if (!status.ok()) throw invalid_argument("tokenizer.model", "tokenizer.model: not a SentencePiece model");
    if (processor_.GetPieceSize() <= 0 || processor_.eos_id() < 0) {
      throw invalid_argument("tokenizer.model", "tokenizer.model: the vocabulary has no </s>");
    }
  }

  int vocab_size() const override { return processor_.GetPieceSize(); }
  int bos_id() const override { return processor_.bos_id(); }
  int eos_id() const override { return processor_.eos_id(); }
  int pad_id() const override { return processor_.pad_id(); }

  std::vector<int> encode(std::string_view text) const override {
    if (!is_valid_utf8(text)) throw invalid_argument("question", "question: text is not valid UTF-8");
    std::vector<int> ids;
    const auto status = processor_.Encode({text.data(), text.size()}, &ids);
    SF_CHECK(status.ok(), "tokenizer: encoding failed: ", status.ToString());
    return ids;
  }

  int piece_id(std::string_view piece) const override {
    const int id = processor_.PieceToId({piece.data(), piece.size()});
    return processor_.IdToPiece(id) == piece ? id : -1;  // what the vocabulary lacks comes back as <unk>
  }

  std::string piece(int id) const override {
    require_id(id);
    return processor_.IdToPiece(id);
  }

  bool is_control(int id) const override {
    require_id(id);
    return processor_.IsControl(id) || processor_.IsUnused(id);
  }

  std::string piece_bytes(int id) const override {
    require_id(id);
    if (is_control(id)) return "";
    const std::string& piece = processor_.IdToPiece(id);
    if (processor_.IsByte(id)) return std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    if (processor_.IsUnknown(id)) return "\xef\xbf\xbd";
    std::string bytes;
    for (size_t at = 0; at < piece.size();) {
      const bool is_mark = piece.compare(at, kSpaceMark.size(), kSpaceMark) == 0;
      bytes += is_mark ? ' ' : piece[at];
      at += is_mark ? kSpaceMark.size() : 1;
    }
    return bytes;
  }

 private:
  void require_id(int id) const {
    SF_REQUIRE(id >= 0 && id < vocab_size(), "tokenizer: id out of range, got ", id, " of ", vocab_size());
  }

  sentencepiece::SentencePieceProcessor processor_;
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

std::shared_ptr<const Tokenizer> load_sentencepiece(std::string_view model_bytes) {
  return std::make_shared<SentencePieceTokenizer>(model_bytes);
}

std::shared_ptr<const Tokenizer> load_sentencepiece_without_prefix(std::string_view model_bytes) {
  // Bytes of a protobuf message behind those of another override it: normalizer_spec (field 3) { add_dummy_prefix (3):
  // 0 }.
  constexpr std::string_view kOverride("\x1a\x02\x18\x00", 4);
  load_sentencepiece(model_bytes);  // an end that is cut off must not swallow the override
  return std::make_shared<SentencePieceTokenizer>(std::string(model_bytes) + std::string(kOverride));
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
