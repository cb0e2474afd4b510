// What the fake engine makes of a question, and of the tokens it scripts: one byte is a token of the prompt, one piece
// a token of the answer.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace sf {

class FakePrompt final : public PreparedPrompt {
 public:
  FakePrompt(std::string question, int num_image_tokens)
      : question_(std::move(question)), num_image_tokens_(num_image_tokens) {}
  int num_tokens() const override { return num_image_tokens_ + static_cast<int>(question_.size()); }
  int num_image_tokens() const override { return num_image_tokens_; }
  double image_decode_seconds() const override { return 0.003; }
  const std::string& question() const { return question_; }

 private:
  std::string question_;
  int num_image_tokens_;
};

class FakeTokenStream final : public TokenStream {
 public:
  explicit FakeTokenStream(std::shared_ptr<const std::vector<std::string>> pieces) : pieces_(std::move(pieces)) {}
  std::string push(int token) override { return pieces_->at(static_cast<size_t>(token)); }
  std::string finish() override { return ""; }
  std::string peek(int token) const override {
    const std::string& piece = pieces_->at(static_cast<size_t>(token));
    return piece.empty() ? "</s>" : piece;
  }

 private:
  std::shared_ptr<const std::vector<std::string>> pieces_;
};

}  // namespace sf
