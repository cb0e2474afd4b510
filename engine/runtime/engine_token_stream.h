// The text of one answer of the torch engine: its detokenizer behind engine.h's face.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace sf {

// One thread only.
class EngineTokenStream : public TokenStream {
 public:
  explicit EngineTokenStream(std::shared_ptr<const Tokenizer> tokenizer) : detokenizer_(std::move(tokenizer)) {}
  std::string push(int token) override { return detokenizer_.push(token); }
  std::string finish() override { return detokenizer_.finish(); }
  std::string peek(int token) const override { return detokenizer_.peek(token); }

 private:
  Detokenizer detokenizer_;
};

}  // namespace sf
