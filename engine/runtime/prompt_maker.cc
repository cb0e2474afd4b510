#include "engine/runtime/prompt_maker.h"

#include <algorithm>
#include <chrono>

#include "engine/base/error.h"

namespace sf {
namespace {

std::string joined_text(const Message& message) {
  std::string text;
  for (const Part& part : message.parts) {
    if (part.kind != Part::Kind::kText || part.data.empty()) continue;
    if (!text.empty()) text += '\n';
    text += part.data;
  }
  return text;
}

// An imported model's template names no tokens of this project's own.
TemplateTokens tokens_of(const Tokenizer& tokenizer, bool imported) {
  if (!imported) return template_tokens(tokenizer);
  return {tokenizer.image_id(), -1, tokenizer.eos_id(), tokenizer.pad_id()};
}

// Of all that the model sees of an image.
Sha256Digest digest_of(const PixelValues& pixels) {
  const std::string_view values(reinterpret_cast<const char*>(pixels.values.data()),
                                pixels.values.size() * sizeof(float));
  const std::string geometry = concat(pixels.grid.rows, " ", pixels.grid.columns, " ", pixels.left, " ", pixels.top,
                                      " ", pixels.width, " ", pixels.height, " ", sha256_hex(values));
  return sha256(geometry);
}

// What a model of single questions is asked: the last message; where it has no image, with the last one before it.
std::vector<Message> last_turn(const std::vector<Message>& messages) {
  const auto is_image = [](const Part& part) { return part.kind == Part::Kind::kImage; };
  std::vector<Message> turn = {messages.back()};
  std::vector<Part>& parts = turn[0].parts;
  if (std::any_of(parts.begin(), parts.end(), is_image)) return turn;
  for (auto message = messages.rbegin() + 1; message != messages.rend(); ++message) {
    const auto image = std::find_if(message->parts.rbegin(), message->parts.rend(), is_image);
    if (image == message->parts.rend()) continue;
    parts.insert(parts.begin(), *image);
    break;
  }
  return turn;
}

template <typename... Args>
Error beyond_context(const Args&... message) {
  return Error(Code::kOutOfRange, concat("question: ", message...), "question");
}

bool blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

}  // namespace

PreprocessOptions preprocess_options(const ImageConfig& config) {
  PreprocessOptions options;
  options.cell_size = config.cell_size;
  options.max_cells = config.max_cells;
  options.max_side_cells = config.max_side_cells;
  options.resample = config.resample == ImageResample::kBilinear ? ResampleFilter::kBilinear : ResampleFilter::kBicubic;
  options.crop = config.resize == ImageResize::kCrop;
  options.stretch = config.resize == ImageResize::kStretch;
  options.resize_side = config.resize_side;
  options.crop_side = config.crop_side;
  options.crop_offset = config.crop_offset == ImageCropOffset::kFloor ? CropOffset::kFloor : CropOffset::kEven;
  for (size_t c = 0; c < 3; ++c) {
    options.mean[c] = static_cast<float>(config.mean[c]);
    options.std[c] = static_cast<float>(config.std[c]);
  }
  return options;
}

PromptMaker::PromptMaker(std::shared_ptr<const Tokenizer> tokenizer, const ModelConfig& config, ImageLimits limits)
    : tokenizer_(std::move(tokenizer)),
      tokens_(tokens_of(*tokenizer_, tokenizer_->imported())),
      form_(&prompt_template(config.prompt_template)),
      preprocess_(preprocess_options(config.image)),
      image_tokens_(image_token_rule(config)),
      single_turn_(config.single_turn),
      normalize_questions_(config.normalize_questions),
      max_images_(config.has_vision() ? config.image.max_images : 0),
      max_context_(config.decoder.max_context),
      limits_(limits) {
  for (int id = 0; id < tokenizer_->vocab_size(); ++id) {
    longest_piece_ = std::max(longest_piece_, tokenizer_->bytes_of(id).size());
  }
}

// What can be refused without decoding or tokenising.
void PromptMaker::check(const std::vector<Message>& messages) const {
  if (messages.empty()) throw invalid_argument("messages", "messages: at least one is needed");
  int images = 0;
  size_t text_bytes = 0;
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kImage)
        ++images;
      else
        text_bytes += part.data.size();
    }
  }
  if (images == 0 && max_images_ > 0 && form_->needs_image)
    throw invalid_argument("image", "image: a picture is needed");
  if (images > 0 && max_images_ == 0) throw invalid_argument("image", "image: this model reads no pictures");
  if (images > max_images_) {
    throw invalid_argument("image", "image: this model takes ", max_images_,
                           max_images_ == 1 ? " picture" : " pictures", " a prompt, got ", images);
  }
  if (messages.back().role != "user" || blank(joined_text(messages.back()))) {
    throw invalid_argument("question", "question: the last message must be the user's and must not be empty");
  }
  const size_t limit = static_cast<size_t>(max_context_) * longest_piece_;
  if (text_bytes > limit) {
    throw beyond_context(text_bytes, " bytes are more than the context of ", max_context_, " tokens can hold");
  }
}

PromptCost PromptMaker::estimate_cost(const std::vector<Message>& messages) const {
  return single_turn_ && messages.size() > 1 ? cost_of(last_turn(messages)) : cost_of(messages);
}

std::shared_ptr<EnginePrompt> PromptMaker::make(const std::vector<Message>& messages, const PrepareCheck& check) const {
  return single_turn_ && messages.size() > 1 ? prompt_of(last_turn(messages), check) : prompt_of(messages, check);
}

PromptCost PromptMaker::cost_of(const std::vector<Message>& messages) const {
  check(messages);
  PromptCost cost;
  for (const Message& message : messages) {
    cost.max_text_tokens += static_cast<int>(form_->overhead(message.parts.size()));
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::kImage) {
        const ImageHeader header = read_image_header(part.data, limits_);
        const GridSize grid = choose_grid(header.width, header.height, preprocess_);
        cost.image_tokens += image_tokens_.count(grid.rows, grid.columns);
      } else {
        cost.max_text_tokens += static_cast<int>(std::min<size_t>(part.data.size() + 2, max_context_));
      }
    }
  }
  cost.max_text_tokens = std::min(cost.max_text_tokens, std::max(0, max_context_ - cost.image_tokens));
  return cost;
}

std::shared_ptr<EnginePrompt> PromptMaker::prompt_of(const std::vector<Message>& messages,
                                                     const PrepareCheck& goes_on) const {
  check(messages);
  auto prompt = std::make_shared<EnginePrompt>();
  PromptBuilder builder(*tokenizer_, tokens_, *form_);
  for (const Message& message : messages) {
    for (const Part& part : message.parts) {
      if (part.kind != Part::Kind::kImage) continue;
      const auto began = std::chrono::steady_clock::now();
      const ImageHeader header = read_image_header(part.data, limits_);
      const Image image = decode_image(part.data, limits_, decode_options(preprocess_, goes_on));
      prompt->image_sizes.emplace_back(header.width, header.height);
      prompt->pixels.push_back(preprocess(image, preprocess_));
      prompt->decode_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      prompt->image_digests.push_back(digest_of(prompt->pixels.back()));
      const GridSize grid = image_tokens_.cells ? prompt->pixels.back().grid : GridSize{};
      builder.add_image(image_tokens_.count(grid.rows, grid.columns), grid.rows, grid.columns);
    }
    const std::string text = joined_text(message);
    if (text.empty()) continue;
    if (message.role == "assistant")
      builder.add_answer(text);
    else if (message.role == "system")
      builder.add_system(text);
    else
      builder.add_question(normalize_questions_ ? normalized_question(text) : text);
  }
  prompt->tokens = std::move(builder).finish();
  if (prompt->num_tokens() >= max_context_) {
    throw beyond_context("the prompt has ", prompt->num_tokens(), " tokens, and the context of ", max_context_,
                         " must hold it and at least one token of the answer");
  }
  return prompt;
}

// What follows the template's last words before an answer, so that a space between the two becomes part of a token just
// as it does in the model's own answers.
std::vector<int> PromptMaker::answer_tokens(const std::string& text) const {
  if (form_->user_after.empty()) return tokenizer_->encode(form_->answer_before + text);
  const std::vector<int> before = tokenizer_->encode(form_->user_after);
  const std::vector<int> both = tokenizer_->encode(form_->user_after + form_->answer_before + text);
  const bool apart = std::mismatch(before.begin(), before.end(), both.begin(), both.end()).first == before.end();
  return apart ? std::vector<int>(both.begin() + before.size(), both.end()) : tokenizer_->encode(text);
}

std::shared_ptr<const ChoiceTrie> PromptMaker::make_choices(const std::vector<std::string>& texts) const {
  std::vector<std::vector<int>> paths;
  for (const std::string& text : texts) {
    paths.push_back(answer_tokens(text));
    if (paths.back().empty() || static_cast<int>(paths.back().size()) >= kMaxChoiceTokens) {
      throw invalid_argument("choices", "choices: each must be 1 to ", kMaxChoiceTokens - 1, " tokens, choice ",
                             paths.size(), " is ", paths.back().size());
    }
  }
  return std::make_shared<const ChoiceTrie>(texts, std::move(paths), tokenizer_->eos_id());
}

std::shared_ptr<EnginePrompt> made_up_prompt(const ModelConfig& config, const Tokenizer& tokenizer, int text_tokens) {
  auto prompt = std::make_shared<EnginePrompt>();
  int image_tokens = 0;
  if (config.has_vision()) {
    const GridSize square = choose_grid(1, 1, preprocess_options(config.image));
    const int pixels = square.rows * config.image.cell_size;
    const ImageTokenRule rule = image_token_rule(config);
    const GridSize grid = rule.cells ? square : GridSize{};
    image_tokens = rule.count(grid.rows, grid.columns);
    PixelValues values;
    values.grid = square;
    values.width = values.height = pixels;
    values.values.resize(size_t{3} * pixels * pixels);
    prompt->pixels.push_back(std::move(values));
    prompt->tokens.images.push_back({0, image_tokens, grid.rows, grid.columns});
  }
  prompt->tokens.ids.assign(std::min(image_tokens + text_tokens, config.decoder.max_context - 3), tokenizer.eos_id());
  return prompt;
}

}  // namespace sf
