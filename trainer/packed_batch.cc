#include "trainer/packed_batch.h"

#include <algorithm>
#include <limits>

#include "engine/base/error.h"

namespace sf {
namespace {

struct Segment {
  std::vector<int> ids;
  int answer_begin = 0;  // index of the question's last token: predictions start there
};

// The prompt as engine/runtime/prompt_maker.cc makes it, and the answer, or `generated`.
Segment make_segment(const QuestionAnswer& asked, bool normalize, const Tokenizer& tokenizer,
                     const TemplateTokens& tokens, const std::vector<int>* generated) {
  PromptBuilder builder(tokenizer, tokens);
  builder.add_question(normalize ? normalized_question(asked.question) : asked.question);
  Segment segment{std::move(builder).finish().ids, 0};
  segment.answer_begin = static_cast<int>(segment.ids.size()) - 1;
  const std::vector<int> answer = generated ? *generated : tokenizer.encode(asked.answer);
  segment.ids.insert(segment.ids.end(), answer.begin(), answer.end());
  if (generated) segment.answer_begin = static_cast<int>(segment.ids.size()) - 1;
  segment.ids.push_back(tokens.eos);
  return segment;
}

// Where every token of a row belongs: 0 = image, k = question k, -1 = padding.
void fill_mask(const std::vector<int>& owner, float* mask) {
  const size_t length = owner.size();
  constexpr float kForbidden = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < length; ++i) {
    float* row = mask + i * length;
    std::fill(row, row + length, kForbidden);
    if (owner[i] >= 0) {
      for (size_t j = 0; j < i; ++j) {
        if (owner[j] == 0 || owner[j] == owner[i]) row[j] = 0;
      }
    }
    row[i] = 0;
  }
}

void mark_words(const Example& example, const PackedBatchOptions& options, at::Tensor words_PK) {
  auto words = words_PK.accessor<float, 2>();
  const GridSize grid = example.pixels.grid;
  auto mark = [&](int64_t token, const NamedObject& object) {
    for (const int word : object.words) words[token][word] = 1;
  };
  for (const NamedObject& object : example.objects) {
    for (int64_t token = 0; token < options.image_tokens.whole; ++token) mark(token, object);
    if (!options.image_tokens.cells) continue;
    const int row = std::clamp(static_cast<int>(object.y) / options.cell_size, 0, grid.rows - 1);
    const int column = std::clamp(static_cast<int>(object.x) / options.cell_size, 0, grid.columns - 1);
    mark(options.image_tokens.whole + int64_t{row} * grid.columns + column, object);
  }
}

// Places in a row of one image -> (time, row, column): [B, L] -> [B, L, 3].
at::Tensor mrope_positions(const at::Tensor& places_BL, const ImageSpan& image) {
  at::Tensor out = at::empty({places_BL.size(0), places_BL.size(1), 3}, at::kLong);
  const auto places = places_BL.accessor<int64_t, 2>();
  auto positions = out.accessor<int64_t, 3>();
  for (int64_t b = 0; b < places.size(0); ++b) {
    for (int64_t i = 0; i < places.size(1); ++i) {
      const auto position = mrope_position({image}, static_cast<int>(places[b][i]));
      for (int64_t c = 0; c < 3; ++c) positions[b][i][c] = position[static_cast<size_t>(c)];
    }
  }
  return out;
}

}  // namespace

std::vector<int> alignment_words(const Tokenizer& tokenizer, const std::vector<std::string>& words) {
  std::vector<int> ids;
  for (const std::string& word : words) {
    const std::vector<int> pieces = tokenizer.encode(word);
    if (pieces.size() != 1)
      throw invalid_argument("tokenizer.model", "the word ", word, " is not one piece of the vocabulary");
    ids.push_back(pieces[0]);
  }
  return ids;
}

PackedBatchOptions packed_batch_options(const ModelConfig& config) {
  return {.image_tokens = image_token_rule(config),
          .cell_size = config.image.cell_size,
          .rope_2d = config.decoder.rope == RopeKind::kMrope2d,
          .normalize_questions = config.normalize_questions};
}

PackedBatch packed_batch(const std::vector<Example>& examples, const Tokenizer& tokenizer,
                         const PackedBatchOptions& options, const TokenLists* generated) {
  const TemplateTokens tokens = template_tokens(tokenizer);
  PackedBatch batch;
  batch.images = image_batch(examples);
  const GridSize grid = examples.front().pixels.grid;
  const int64_t rows = static_cast<int64_t>(examples.size()),
                image_tokens = options.image_tokens.count(grid.rows, grid.columns);
  batch.image_tokens = image_tokens;

  std::vector<std::vector<Segment>> segments(examples.size());
  int64_t length = 0;
  for (size_t b = 0; b < examples.size(); ++b) {
    int64_t row_length = image_tokens;
    for (size_t q = 0; q < examples[b].questions.size(); ++q) {
      segments[b].push_back(make_segment(examples[b].questions[q], options.normalize_questions, tokenizer, tokens,
                                         generated ? &(*generated)[b][q] : nullptr));
      row_length += static_cast<int64_t>(segments[b].back().ids.size());
    }
    length = std::max(length, row_length);
  }

  batch.ids_BL = at::full({rows, length}, std::max(tokens.pad, 0), at::kLong);
  batch.positions_BL = at::zeros({rows, length}, at::kLong);
  batch.mask_BLL = at::empty({rows, length, length}, at::kFloat);
  batch.words = at::zeros({rows, image_tokens, static_cast<int64_t>(options.num_words)}, at::kFloat);
  auto ids = batch.ids_BL.accessor<int64_t, 2>();
  auto positions = batch.positions_BL.accessor<int64_t, 2>();
  std::vector<int64_t> real, loss_index, loss_target;
  std::vector<float> loss_weight;
  for (int64_t b = 0; b < rows; ++b) {
    std::vector<int> owner(length, -1);
    for (int64_t p = 0; p < image_tokens; ++p) {
      ids[b][p] = tokens.image;
      positions[b][p] = p;
      owner[p] = 0;
    }
    int64_t at = image_tokens;
    for (size_t q = 0; q < segments[b].size(); ++q) {
      const Segment& segment = segments[b][q];
      const int size = static_cast<int>(segment.ids.size());
      const int answer_tokens = size - 1 - segment.answer_begin;
      for (int i = 0; i < size; ++i, ++at) {
        ids[b][at] = segment.ids[i];
        positions[b][at] = image_tokens + i;
        owner[at] = static_cast<int>(q) + 1;
        if (i < segment.answer_begin || i + 1 == size) continue;
        loss_index.push_back(b * length + at);
        loss_target.push_back(segment.ids[i + 1]);
        loss_weight.push_back(answer_tokens > 2 ? static_cast<float>(options.long_answer_weight) : 1.0f);
        batch.loss_question.push_back(batch.num_questions);
      }
      ++batch.num_questions;
    }
    for (int64_t i = 0; i < at; ++i) real.push_back(b * length + i);
    fill_mask(owner, batch.mask_BLL[b].data_ptr<float>());
    if (options.num_words > 0) mark_words(examples[b], options, batch.words[b]);
  }
  if (options.rope_2d) {
    const GridSize cells = options.image_tokens.cells ? grid : GridSize{};
    batch.positions_BL =
        mrope_positions(batch.positions_BL, {0, static_cast<int>(image_tokens), cells.rows, cells.columns});
  }
  batch.real_tokens = torch::tensor(real, at::kLong);
  batch.loss_index = torch::tensor(loss_index, at::kLong);
  batch.loss_target = torch::tensor(loss_target, at::kLong);
  batch.loss_weight = torch::tensor(loss_weight, at::kFloat);
  if (examples.front().labels) batch.labels = label_tensors(examples, options.num_targets);
  return batch;
}

}  // namespace sf
