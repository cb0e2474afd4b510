#include "trainer/evaluator.h"

#include <limits>

#include "engine/runtime/prompt_maker.h"
#include "trainer/train_step.h"

namespace sf {
namespace {

constexpr size_t kBatch = 16;

// Evaluation mode for a while.
class EvaluationMode {
 public:
  explicit EvaluationMode(Vlm& vlm) : vlm_(vlm), was_training_(vlm.is_training()) { vlm_.eval(); }
  ~EvaluationMode() { vlm_.train(was_training_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  torch::NoGradGuard no_grad_;
  Vlm& vlm_;
  const bool was_training_;
};

// By question: whether it was answered, the smallest top-2 gap over the answer's tokens, and the first token said.
std::vector<AnsweredQuestion> answers_of(const PackedBatch& batch, const at::Tensor& answer_logits) {
  const at::Tensor top = std::get<0>(answer_logits.topk(2, 1));
  const at::Tensor gaps = (top.select(1, 0) - top.select(1, 1)).contiguous();
  const at::Tensor guesses = answer_logits.argmax(1).contiguous();
  const std::vector<bool> right = answered(batch, answer_logits);
  std::vector<AnsweredQuestion> answers;
  int previous = -1;
  for (size_t i = 0; i < batch.loss_question.size(); ++i) {
    const int q = batch.loss_question[i];
    if (q != previous) {
      answers.push_back({right[static_cast<size_t>(q)], std::numeric_limits<float>::max(),
                         static_cast<int>(guesses.const_data_ptr<int64_t>()[i])});
    }
    previous = q;
    answers.back().margin = std::min(answers.back().margin, gaps.const_data_ptr<float>()[i]);
  }
  return answers;
}

struct IndexedExample {
  int index = 0;
  Example example;
};

class Questioning {
 public:
  Questioning(Vlm& vlm, const Tokenizer& tokenizer, const Examinee::Visit& visit)
      : vlm_(vlm), tokenizer_(tokenizer), visit_(visit), packing_(packed_batch_options(vlm.config())) {
    const DecoderConfig& decoder = vlm.config().decoder;
    counts.all.assign(decoder.num_layers, std::vector<int64_t>(decoder.moe.num_experts));
    counts.image = counts.all;
  }

  void add(std::vector<IndexedExample>& group) {
    std::vector<Example> examples;
    for (IndexedExample& one : group) examples.push_back(std::move(one.example));
    const PackedBatch batch = packed_batch(examples, tokenizer_, packing_);
    const Losses losses = forward_losses(vlm_, batch, nullptr, {});
    const std::vector<AnsweredQuestion> answers = answers_of(batch, losses.answer_logits);
    auto next = answers.begin();
    for (size_t i = 0; i < group.size(); ++i) {
      const auto end = next + static_cast<ptrdiff_t>(examples[i].questions.size());
      if (visit_) visit_(group[i].index, examples[i], std::vector<AnsweredQuestion>(next, end));
      next = end;
    }
    count(losses.report.layers);
    group.clear();
  }

  ExpertCounts counts;

 private:
  void count(const std::vector<LayerRouting>& layers) {
    for (const LayerRouting& routing : layers) {
      const auto& tokens = routing.expert_tokens;
      const size_t layer = static_cast<size_t>(routing.layer);
      for (size_t e = 0; e < tokens.size() / 2; ++e) {
        counts.all[layer][e] += tokens[2 * e] + tokens[2 * e + 1];
        counts.image[layer][e] += tokens[2 * e];
      }
    }
  }

  Vlm& vlm_;
  const Tokenizer& tokenizer_;
  const Examinee::Visit& visit_;
  const PackedBatchOptions packing_;
};

std::string text_of(const Tokenizer& tokenizer, const std::vector<int>& ids) {
  // The caller keeps the tokenizer alive: nothing is owned here.
  Detokenizer stream(std::shared_ptr<const Tokenizer>(std::shared_ptr<const Tokenizer>(), &tokenizer));
  std::string text;
  for (const int id : ids) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace

PreprocessOptions VlmExaminee::preprocess() const { return preprocess_options(vlm_.config().image); }

ExpertCounts VlmExaminee::ask(int count, const std::function<Example(int)>& make, const Visit& visit) {
  const EvaluationMode mode(vlm_);
  Questioning questioning(vlm_, tokenizer_, visit);
  std::map<std::pair<int, int>, std::vector<IndexedExample>> waiting;  // one batch needs one grid
  for (int i = 0; i < count; ++i) {
    Example example = make(i);
    const GridSize grid = example.pixels.grid;
    auto& group = waiting[{grid.rows, grid.columns}];
    group.push_back({i, std::move(example)});
    if (group.size() == kBatch) questioning.add(group);
  }
  for (auto& [grid, group] : waiting) {
    if (!group.empty()) questioning.add(group);
  }
  return std::move(questioning.counts);
}

std::vector<std::string> VlmExaminee::generate(const Example& example, int max_tokens) {
  const EvaluationMode mode(vlm_);
  const PackedBatchOptions packing = packed_batch_options(vlm_.config());
  TokenLists said(1, std::vector<std::vector<int>>(example.questions.size()));
  std::vector<bool> ended(example.questions.size());
  for (int i = 0; i < max_tokens && std::find(ended.begin(), ended.end(), false) != ended.end(); ++i) {
    const PackedBatch batch = packed_batch({example}, tokenizer_, packing, &said);
    const at::Tensor guesses = forward_losses(vlm_, batch, nullptr, {}).answer_logits.argmax(1).contiguous();
    for (size_t q = 0; q < ended.size(); ++q) {
      if (ended[q]) continue;
      const int guess = static_cast<int>(guesses.const_data_ptr<int64_t>()[q]);
      ended[q] = tokenizer_.is_end(guess);
      if (!ended[q]) said[0][q].push_back(guess);
    }
  }
  std::vector<std::string> texts;
  for (const std::vector<int>& ids : said[0]) texts.push_back(text_of(tokenizer_, ids));
  return texts;
}

}  // namespace sf
