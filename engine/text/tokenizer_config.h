// tokenizer_config.json of a checkpoint, in this project's own small schema: what an imported model adds to its
// tokenizer.model, or the characters of one that has no such file. Format: docs/checkpoint_format.md. A checkpoint
// trained here has none.
//
//   TokenizerConfig config = parse_tokenizer_config(bytes);
//   auto tokenizer = make_tokenizer(config, bytes_of_tokenizer_model, vocab_size);
//
// Thread-safe: free functions and plain values.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/sentencepiece_tokenizer.h"
#include "engine/text/tokenizer.h"

namespace sf {

struct TokenizerConfig {
  bool add_bos = false;      // a prompt begins with <s>
  std::vector<int> eos_ids;  // tokens that end an answer; at least one
  PrefixSpace prefix_space = PrefixSpace::kAlways;
  int image_id = -1;                        // stands in an image's places; -1 = none
  std::map<int, std::string> added_tokens;  // beside tokenizer.model; text never becomes one of them
  std::vector<std::string>
      characters;  // not empty: each character is the token of its index, and there is no tokenizer.model
};

// Errors: InvalidArgument (field "tokenizer_config.json").
TokenizerConfig parse_tokenizer_config(std::string_view json_text);
std::string to_json(const TokenizerConfig& config);

// Effect: the whole tokenizer. `vocab_size` is the model's: every id below it can be asked for, those that the
// vocabulary lacks are special tokens without text. Errors: InvalidArgument (field "tokenizer.model" or
// "tokenizer_config.json") where the vocabulary does not fit the model, or an added token contradicts the vocabulary.
std::shared_ptr<const Tokenizer> make_tokenizer(const TokenizerConfig& config, std::string_view model_bytes,
                                                int vocab_size);

}  // namespace sf
