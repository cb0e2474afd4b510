#include "trainer/evaluator.h"

#include <limits>
#include <map>

#include "engine/runtime/prompt_maker.h"
#include "trainer/tasks/sort_of_clevr/dataset.h"
#include "trainer/tasks/sort_of_clevr/non_scene.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/train_step.h"

namespace sf {
namespace {

constexpr float kClearMargin = 3.0f;
constexpr int kBatch = 16;

struct Held {
  data::Sample sample;
  std::vector<data::Question> questions;
};

Held paper_image(data::Rng& rng, const PreprocessOptions& pre, data::Phrasing phrasing) {
  const data::Scene scene = data::generate_scene(rng, {});
  const Image image = data::render(scene, data::plain_style(), rng);
  return {data::sample_of(scene, image, pre), data::paper_questions(rng, scene, phrasing)};
}

Held make_held(const EvaluationSet& set, const PreprocessOptions& pre, int index) {
  using Kind = EvaluationSet::Kind;
  data::Rng rng(set.seed ^ 0x5eed0fe7a1ull, static_cast<uint64_t>(index));
  if (set.kind == Kind::kPaper) {
    return paper_image(rng, pre, set.paraphrased ? data::Phrasing::kMixed : data::Phrasing::kCanonical);
  }
  data::SampleOptions samples;
  samples.pre = pre;
  data::QuestionMix mix;
  mix.count = 20;
  if (set.kind == Kind::kNonScene) {
    samples.non_scene_fraction = 1;
    mix.count = 4;
  }
  if (set.kind == Kind::kDescribe || set.kind == Kind::kAbsent) {
    mix.weights.fill(0);
    mix.weights[set.kind == Kind::kDescribe ? data::kDescribe : data::kAbsentColour] = 1;
    if (set.kind == Kind::kDescribe) mix.count = 1;
  }
  Held held{data::make_sample(rng, data::draw_grid(rng, samples), samples), {}};
  held.questions = data::sample_questions(rng, held.sample.scene, mix);
  return held;
}

bool is_refusal(const data::Question& question) {
  return question.kind == data::kAbsentColour || question.kind == data::kOffTopic || question.kind == data::kNonScene;
}

void count(KindScore& score, const data::Question& question, bool right) {
  ++score.asked;
  score.right += right;
  if (question.margin >= kClearMargin) {
    ++score.clear_asked;
    score.clear_right += right;
  }
}

// The smallest top-2 gap over each question's answer tokens.
std::vector<float> margins(const PackedBatch& batch, const at::Tensor& answer_logits) {
  at::Tensor top = std::get<0>(answer_logits.topk(2, 1));
  at::Tensor gaps = (top.select(1, 0) - top.select(1, 1)).contiguous();
  const float* gap = gaps.const_data_ptr<float>();
  std::vector<float> smallest(batch.questions.size(), std::numeric_limits<float>::max());
  for (size_t i = 0; i < batch.loss_question.size(); ++i) {
    float& margin = smallest[batch.loss_question[i]];
    margin = std::min(margin, gap[i]);
  }
  return smallest;
}

class Run {
 public:
  Run(Vlm& vlm, const Tokenizer& tokenizer, const std::function<void(const EvaluatedImage&)>& visit)
      : vlm_(vlm), tokenizer_(tokenizer), visit_(visit), words_(alignment_words(tokenizer)), heads_(vlm.config()) {
    refusals_ = {tokenizer.encode("there is no").front(), tokenizer.encode(data::kRefusal).front()};
    const DecoderConfig& decoder = vlm.config().decoder;
    report.expert_histogram.assign(decoder.num_layers, std::vector<int64_t>(decoder.moe.num_experts));
    report.image_expert_histogram = report.expert_histogram;
  }

  void add(const std::vector<Held>& images) {
    std::vector<data::Sample> samples;
    std::vector<std::vector<data::Question>> questions;
    for (const Held& held : images) {
      samples.push_back(held.sample);
      questions.push_back(held.questions);
    }
    const PackedBatch batch = packed_batch(samples, questions, tokenizer_, packed_batch_options(vlm_.config()));
    const Losses losses = forward_losses(vlm_, batch, words_, heads_, {});
    const std::vector<bool> right = answered(batch, losses.answer_logits);
    score(batch, losses, right);
    if (visit_) tell(images, right, margins(batch, losses.answer_logits));
  }

  EvaluationReport report;

 private:
  void score(const PackedBatch& batch, const Losses& losses, const std::vector<bool>& right) {
    at::Tensor guesses = losses.answer_logits.argmax(1).contiguous();
    int previous = -1;
    for (size_t i = 0; i < batch.loss_question.size(); ++i) {
      const int q = batch.loss_question[i];
      if (q == previous) continue;
      previous = q;
      const data::Question& question = batch.questions[q];
      if (is_refusal(question)) continue;
      ++report.answerable;
      const int guess = static_cast<int>(guesses.const_data_ptr<int64_t>()[i]);
      report.answerable_refused += guess == refusals_[0] || guess == refusals_[1];
    }
    for (size_t q = 0; q < batch.questions.size(); ++q) {
      const data::Question& question = batch.questions[q];
      count(report.kinds[question.kind], question, right[q]);
      count(report.all, question, right[q]);
      if (question.kind <= data::kTopBottom) count(report.non_relational, question, right[q]);
      if (question.relational) count(report.relational, question, right[q]);
    }
    for (const LayerRouting& routing : losses.report.layers) {
      const auto& tokens = routing.expert_tokens;
      const size_t layer = static_cast<size_t>(routing.layer);
      for (size_t e = 0; e < tokens.size() / 2; ++e) {
        report.expert_histogram[layer][e] += tokens[2 * e] + tokens[2 * e + 1];
        report.image_expert_histogram[layer][e] += tokens[2 * e];
      }
    }
  }

  void tell(const std::vector<Held>& images, const std::vector<bool>& right, const std::vector<float>& gaps) {
    size_t q = 0;
    for (const Held& held : images) {
      EvaluatedImage image{held.sample, held.questions, {}, {}};
      for (size_t i = 0; i < held.questions.size(); ++i, ++q) {
        image.right.push_back(right[q]);
        image.margin.push_back(gaps[q]);
      }
      visit_(image);
    }
  }

  Vlm& vlm_;
  const Tokenizer& tokenizer_;
  const std::function<void(const EvaluatedImage&)>& visit_;
  std::vector<int> words_;
  AuxiliaryHeads heads_;
  std::array<int, 2> refusals_{};
};

}  // namespace

EvaluationReport evaluate(Vlm& vlm, const Tokenizer& tokenizer, const EvaluationSet& set,
                          const std::function<void(const EvaluatedImage&)>& visit) {
  torch::NoGradGuard no_grad;
  const bool was_training = vlm.is_training();
  vlm.eval();
  Run run(vlm, tokenizer, visit);
  const PreprocessOptions pre = preprocess_options(vlm.config().image);
  std::map<std::pair<int, int>, std::vector<Held>> waiting;  // one batch needs one grid
  for (int i = 0; i < set.images; ++i) {
    Held held = make_held(set, pre, i);
    const GridSize grid = held.sample.pixels.grid;
    auto& group = waiting[{grid.rows, grid.columns}];
    group.push_back(std::move(held));
    if (group.size() == kBatch) {
      run.add(group);
      group.clear();
    }
  }
  for (auto& [grid, group] : waiting) {
    if (!group.empty()) run.add(group);
  }
  vlm.train(was_training);
  return run.report;
}

void merge(EvaluationReport& into, const EvaluationReport& other) {
  auto add = [](KindScore& a, const KindScore& b) {
    a.asked += b.asked;
    a.right += b.right;
    a.clear_asked += b.clear_asked;
    a.clear_right += b.clear_right;
  };
  for (size_t k = 0; k < into.kinds.size(); ++k) add(into.kinds[k], other.kinds[k]);
  add(into.non_relational, other.non_relational);
  add(into.relational, other.relational);
  add(into.all, other.all);
  into.answerable += other.answerable;
  into.answerable_refused += other.answerable_refused;
  auto add_counts = [](auto& a, const auto& b) {
    a.resize(b.size());
    for (size_t l = 0; l < b.size(); ++l) {
      a[l].resize(b[l].size());
      for (size_t e = 0; e < b[l].size(); ++e) a[l][e] += b[l][e];
    }
  };
  add_counts(into.expert_histogram, other.expert_histogram);
  add_counts(into.image_expert_histogram, other.image_expert_histogram);
}

}  // namespace sf
