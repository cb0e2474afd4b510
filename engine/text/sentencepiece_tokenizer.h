// SentencePiece BPE behind the Tokenizer interface, and its training. The library's header clashes with absl's
// string_view, so only the .cc sees it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace sf {

// Effect: parses the bytes of a tokenizer.model. Errors: InvalidArgument (field "tokenizer.model") if it is not one.
std::shared_ptr<const Tokenizer> load_sentencepiece(std::string_view model_bytes);
// The same vocabulary without the space that the model itself may put before every text (add_dummy_prefix).
std::shared_ptr<const Tokenizer> load_sentencepiece_without_prefix(std::string_view model_bytes);

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
