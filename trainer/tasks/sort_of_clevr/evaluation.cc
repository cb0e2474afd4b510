#include "trainer/tasks/sort_of_clevr/evaluation.h"

#include <map>

#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf {
namespace {

constexpr float kClearMargin = 3.0f;

HeldOutImage paper_image(data::Rng& rng, const PreprocessOptions& pre, data::Phrasing phrasing) {
  const data::Scene scene = data::generate_scene(rng, {});
  const Image image = data::render(scene, data::plain_style(), rng);
  return {data::sample_of(scene, image, pre), data::paper_questions(rng, scene, phrasing)};
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

// `refusals`: the first tokens of the two ways to refuse.
void count(EvaluationReport& report, const data::Question& question, const AnsweredQuestion& answer,
           const std::array<int, 2>& refusals) {
  if (!is_refusal(question)) {
    ++report.answerable;
    report.answerable_refused += answer.first_token == refusals[0] || answer.first_token == refusals[1];
  }
  count(report.kinds[question.kind], question, answer.right);
  count(report.all, question, answer.right);
  if (question.kind <= data::kTopBottom) count(report.non_relational, question, answer.right);
  if (question.relational) count(report.relational, question, answer.right);
}

}  // namespace

HeldOutImage held_out_image(const EvaluationSet& set, const PreprocessOptions& pre, int index) {
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
  HeldOutImage image{data::make_sample(rng, data::draw_grid(rng, samples), samples), {}};
  image.questions = data::sample_questions(rng, image.sample.scene, mix);
  return image;
}

Example example_of(const HeldOutImage& image) {
  Example example{image.sample.pixels, {}};
  for (const data::Question& question : image.questions) example.questions.push_back({question.text, question.answer});
  return example;
}

EvaluationReport evaluate(Examinee& model, const EvaluationSet& set, const VisitHeldOut& visit) {
  const PreprocessOptions pre = model.preprocess();
  const std::array<int, 2> refusals = {model.tokenizer().encode("there is no").front(),
                                       model.tokenizer().encode(data::kRefusal).front()};
  EvaluationReport report;
  std::map<int, HeldOutImage> asked;  // those that wait for their answers
  const auto make = [&](int index) { return example_of(asked[index] = held_out_image(set, pre, index)); };
  report.experts =
      model.ask(set.images, make, [&](int index, const Example&, const std::vector<AnsweredQuestion>& answers) {
        const auto found = asked.extract(index);
        const HeldOutImage& image = found.mapped();
        for (size_t q = 0; q < answers.size(); ++q) count(report, image.questions[q], answers[q], refusals);
        if (visit) visit(image, answers);
      });
  return report;
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
  add_counts(into.experts.all, other.experts.all);
  add_counts(into.experts.image, other.experts.image);
}

}  // namespace sf
