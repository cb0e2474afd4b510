#include "engine/runtime/prompt_maker.h"

#include <algorithm>
#include <chrono>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr int kMaxImages = 1;  // pictures that one prompt of this model was trained with

std::string joined_text(const Message& message) {
  std::string text;
  for (const Part& part : message.parts) {
    if (part.kind != Part::Kind::kText || part.data.empty()) continue;
    if (!text.empty()) text += '\n';
    text += part.data;
  }
  return text;
}

// Of all that the model sees of a picture.
Sha256Digest digest_of(const PixelValues& pixels) {
  const std::string_view values(reinterpret_cast<const char*>(pixels.values.data()), pixels.values.size() * sizeof(float));
  const std::string geometry = concat(pixels.grid.rows, " ", pixels.grid.columns, " ", pixels.left, " ", pixels.top, " ",
                                      pixels.width, " ", pixels.height, " ", sha256_hex(values));
  return sha256(geometry);
}

bool blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

}  // namespace

PreprocessOptions preprocess_options(const ImageConfig& config) {
  return {.cell_size = config.cell_size,
          .max_cells = config.max_cells,
          .max_side_cells = config.max_side_cells,
          .mean = static_cast<float>(config.mean),
          .std = static_cast<float>(config.std)};
}

PromptMaker::PromptMaker(std::shared_ptr<const Tokenizer> tokenizer, const ImageConfig& image, int max_context,
                         ImageLimits limits)
    : tokenizer_(std::move(tokenizer)),
      tokens_(template_tokens(*tokenizer_)),
      preprocess_(preprocess_options(image)),
      max_context_(max_context),
      limits_(limits) {
  for (int id = 0; id < tokenizer_->vocab_size(); ++id) {
    longest_piece_ = std::max(longest_piece_, tokenizer_->piece_bytes(id).size());
  }
}

// What can be refused without decoding or tokenising.
void PromptMaker::check(const std::vector<Message>& messages) const {
  if (messages.empty()) throw invalid_argument("messages", "messages: at least one is needed");
  int images = 0;
  size_t text_bytes = 0;
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kImage) ++images;
      else text_bytes += part.data.size();
    }
  }
  if (images == 0) throw invalid_argument("image", "image: a picture is needed");
  if (images > kMaxImages) {
    throw invalid_argument("image", "image: this model takes ", kMaxImages, " picture a prompt, got ", images);
  }
  if (messages.back().role != "user" || blank(joined_text(messages.back()))) {
    throw invalid_argument("question", "question: the last message must be the user's and must not be empty");
  }
  const size_t limit = static_cast<size_t>(max_context_) * longest_piece_;
  if (text_bytes > limit) {
    throw invalid_argument("question", "question: ", text_bytes, " bytes are more than the context of ", max_context_,
                           " tokens can hold");
  }
}

PromptCost PromptMaker::estimate_cost(const std::vector<Message>& messages) const {
  check(messages);
  PromptCost cost;
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kImage) {
        const ImageHeader header = read_image_header(part.data, limits_);
        const GridSize grid = choose_grid(header.width, header.height, preprocess_);
        cost.image_tokens += grid.rows * grid.columns;
      } else {
        cost.max_text_tokens += static_cast<int>(std::min<size_t>(part.data.size() + 2, max_context_));
      }
    }
  }
  cost.max_text_tokens = std::min(cost.max_text_tokens, std::max(0, max_context_ - cost.image_tokens));
  return cost;
}

std::shared_ptr<EnginePrompt> PromptMaker::make(const std::vector<Message>& messages) const {
  check(messages);
  auto prompt = std::make_shared<EnginePrompt>();
  PromptBuilder builder(*tokenizer_, tokens_);
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind != Part::Kind::kImage) continue;
      const auto began = std::chrono::steady_clock::now();
      prompt->pixels.push_back(preprocess(decode_image(part.data, limits_), preprocess_));
      prompt->decode_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      prompt->image_digests.push_back(digest_of(prompt->pixels.back()));
      builder.add_image(prompt->pixels.back().grid.rows * prompt->pixels.back().grid.columns);
    }
    const std::string text = joined_text(message);
    if (text.empty()) continue;
    if (message.role == "assistant") builder.add_answer(text);
    else builder.add_question(text);
  }
  prompt->tokens = std::move(builder).finish();
  if (prompt->num_tokens() >= max_context_) {
    throw invalid_argument("question", "question: the prompt has ", prompt->num_tokens(), " tokens, and the context of ",
                           max_context_, " must hold it and at least one token of the answer");
  }
  return prompt;
}

}  // namespace sf
