// The torch engine's TokenStream (engine.h): the text of one answer, token by token.
//
//   EngineTokenStream stream(tokenizer);
//   text += stream.push(token);
//   text += stream.finish();
//
// One thread only.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace sf {

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
