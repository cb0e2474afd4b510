// SentencePiece BPE behind the Tokenizer interface, and its training. The library's header clashes with absl's
// string_view, so only the .cc includes it.
//
//   std::string model = train_sentencepiece(sentences, {.vocab_size = 768});
//   std::shared_ptr<const Tokenizer> tokenizer = load_sentencepiece(model);
//
// Thread-safe: a tokenizer is immutable.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace sf {

// Where a space stands before a text that SentencePiece would put there (its add_dummy_prefix). A special token ends a
// text.
enum class PrefixSpace {
  kAlways,    // before every text, as SentencePiece does
  kUnspaced,  // before every text that does not begin with a space
  kFirst,     // only before the text that a prompt begins with, where that does not begin with a space
};

// Effect: parses the bytes of a tokenizer.model. Errors: InvalidArgument (field "tokenizer.model") if it is not one.
std::shared_ptr<const Tokenizer> load_sentencepiece(std::string_view model_bytes,
                                                    PrefixSpace prefix_space = PrefixSpace::kAlways);

// A piece as SentencePiece stores it, its marks of a space (U+2581) as spaces.
std::string with_plain_spaces(std::string_view piece);

struct TokenizerTraining {
  int vocab_size = 768;                                    // includes 256 byte pieces, <unk> 0, <s> 1, </s> 2, <pad> 3
  bool exact = true;                                       // false: fewer pieces where the sentences have no more
  std::vector<std::string> user_symbols = {};              // whole pieces that text can name
  std::vector<std::string> control_symbols = {"<image>"};  // never produced from text
};

// Effect: trains BPE with byte fallback on `sentences`, one thread (so the result is reproducible), and returns the
// bytes of tokenizer.model. Leading space as a mark (add_dummy_prefix), no Unicode normalisation, runs of spaces become
// one, digits split. Errors: InvalidArgument where the sentences cannot fill an exact
// vocab_size.
std::string train_sentencepiece(const std::vector<std::string>& sentences, const TokenizerTraining& options);

}  // namespace sf
