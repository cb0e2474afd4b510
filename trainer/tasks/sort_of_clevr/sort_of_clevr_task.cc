#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"

#include <array>

#include "engine/base/error.h"
#include "engine/checkpoint/sha256.h"
#include "trainer/tasks/sort_of_clevr/curriculum.h"
#include "trainer/tasks/sort_of_clevr/dense_labels.h"
#include "trainer/tasks/sort_of_clevr/evaluation.h"

namespace sf {
namespace {

constexpr uint64_t kEvaluationSeed = 90'001;  // never a training stream
constexpr uint64_t kGoldenSeed = kEvaluationSeed + 1;
constexpr uint64_t kTrainingStream = 1'000'003;  // beside the encoder's, which is the seed itself
constexpr int kGoldenImages = 12;
constexpr int kCorpusSentences = 60'000;
constexpr int64_t kDefaultSteps = 5000;
constexpr int64_t kWarmupSteps = 200;
// Goes up where held-out images or questions change: their scores are then not those of before.
constexpr int kHeldOutEdition = 1;

// Few objects at first, then mostly six: the paper's number, and the hardest.
void set_object_range(data::SampleOptions& options, data::Rng& rng, double progress) {
  if (progress < 0.12) {
    options.min_objects = 2;
    options.max_objects = 6;
  } else {
    options.min_objects = rng.chance(0.65f) ? 6 : 1;
    options.max_objects = 6;
  }
}

class SortOfClevrTask : public Task {
 public:
  explicit SortOfClevrTask(const SortOfClevrOptions& options) : options_(options) {}

  std::vector<Example> examples(const ExampleRequest& request) const override {
    const data::DatasetOptions options = curriculum(dataset_options(request), request.progress, request.warm);
    const data::Batch batch = data::make_batch(options, request.seed + kTrainingStream, request.step);
    std::vector<Example> examples;
    for (size_t i = 0; i < batch.samples.size(); ++i) {
      examples.push_back(example_of(batch.samples[i], batch.questions[i], request.pre.cell_size, request.label_size));
    }
    return examples;
  }

  std::vector<Example> encoder_examples(const ExampleRequest& request) const override {
    data::Rng rng(request.seed, static_cast<uint64_t>(request.step));
    data::SampleOptions samples = dataset_options(request).samples;
    set_object_range(samples, rng, request.progress);
    const GridSize grid = data::draw_grid(rng, samples);
    std::vector<Example> examples;
    for (int i = 0; i < request.num_images; ++i) {
      const data::Sample sample = data::make_sample(rng, grid, samples);
      examples.push_back({sample.pixels, {}, {}, token_labels(sample, request.label_size)});
    }
    return examples;
  }

  std::vector<std::string> object_words() const override {
    std::vector<std::string> words;
    for (int c = 0; c < data::kNumColours; ++c) words.emplace_back(data::colour_word(static_cast<data::Colour>(c)));
    for (int s = 0; s < data::kNumShapes; ++s) words.emplace_back(data::shape_word(static_cast<data::Shape>(s)));
    return words;
  }

  std::vector<DenseTarget> dense_targets() const override {
    return {{"colour", 6, 1},          {"shape", 2, 1},           {"nearest_colour", 6, 1},
            {"nearest_shape", 2, 0.5}, {"furthest_colour", 6, 1}, {"furthest_shape", 2, 0.5},
            {"count", 6, 1},           {"left_right", 2, 1},      {"top_bottom", 2, 1}};
  }

  std::vector<std::string> tokenizer_corpus(uint64_t seed) const override {
    data::Rng rng(seed, 77);
    return data::tokenizer_corpus(rng, kCorpusSentences);
  }

  int64_t images_per_epoch() const override { return options_.images_per_epoch; }
  int64_t default_steps(int) const override { return kDefaultSteps; }
  int64_t warmup_steps(int64_t) const override { return kWarmupSteps; }

  std::string evaluation_id() const override {
    return sha256_hex(concat("sort-of-clevr\nheld-out edition ", kHeldOutEdition, "\nseed ", kEvaluationSeed,
                             "\nimages ", options_.evaluation_images, "\n"));
  }

  TaskEvaluation evaluate(Examinee& model) const override {
    const EvaluationReport paper = ask(model, EvaluationSet::Kind::kPaper);
    const EvaluationReport varied = ask(model, EvaluationSet::Kind::kVaried);
    const EvaluationReport refused = ask(model, EvaluationSet::Kind::kNonScene);
    TaskEvaluation out;
    out.scores["non_relational"] = paper.non_relational.accuracy();
    out.scores["relational"] = paper.relational.accuracy();
    out.scores["varied"] = varied.all.accuracy();
    out.scores["non_scene_refused"] = refused.all.accuracy();
    out.scores["score"] = (paper.non_relational.accuracy() + paper.relational.accuracy() + varied.all.accuracy()) / 3;
    EvaluationReport both = paper;
    merge(both, varied);
    out.summary = concat("score ", out.score(), " non-relational ", both.non_relational.accuracy(), " relational ",
                         both.relational.accuracy());
    for (int k = 0; k < data::kNumKinds; ++k) {
      if (both.kinds[k].asked == 0) continue;
      const std::string name(data::kind_name(static_cast<data::Kind>(k)));
      out.summary += concat(" ", name, " ", both.kinds[k].accuracy());
      out.accuracy.emplace_back(name, both.kinds[k].accuracy());
    }
    out.accuracy.emplace_back("non_relational", both.non_relational.accuracy());
    out.accuracy.emplace_back("relational", both.relational.accuracy());
    out.experts = both.experts;
    return out;
  }

  std::vector<std::string> accuracy_kinds() const override {
    std::vector<std::string> kinds;
    for (int k = 0; k < data::kNumKinds; ++k) kinds.emplace_back(data::kind_name(static_cast<data::Kind>(k)));
    kinds.insert(kinds.end(), {"non_relational", "relational"});
    return kinds;
  }

  std::vector<Example> golden_examples(const PreprocessOptions& pre) const override {
    const EvaluationSet set{
        .kind = EvaluationSet::Kind::kPaper, .images = kGoldenImages, .seed = kGoldenSeed, .paraphrased = true};
    std::vector<Example> examples;
    for (int i = 0; i < set.images; ++i) examples.push_back(example_of(held_out_image(set, pre, i)));
    return examples;
  }

 private:
  data::DatasetOptions dataset_options(const ExampleRequest& request) const {
    data::DatasetOptions data;
    data.batch_size = request.num_images;
    data.samples.pre = request.pre;
    data.samples.non_scene_fraction = options_.non_scene_fraction;
    data.questions.count = request.num_questions;
    return data;
  }

  EvaluationReport ask(Examinee& model, EvaluationSet::Kind kind) const {
    return sf::evaluate(model, {.kind = kind, .images = options_.evaluation_images, .seed = kEvaluationSeed});
  }

  const SortOfClevrOptions options_;
};

}  // namespace

std::unique_ptr<Task> make_sort_of_clevr_task(const SortOfClevrOptions& options) {
  return std::make_unique<SortOfClevrTask>(options);
}

TokenLabels token_labels(const data::Sample& sample, int label_size) {
  data::DenseLabels known = data::dense_labels(sample, label_size);
  TokenLabels labels{known.rows, known.columns, sample.is_scene, {}, {}};
  for (const int object : known.object) labels.object.push_back(object >= 0);
  for (int& count : known.same_shape) count = count > 0 ? count - 1 : count;  // 1..6 objects are classes 0..5
  labels.classes = {std::move(known.colour),        std::move(known.shape),           std::move(known.nearest_colour),
                    std::move(known.nearest_shape), std::move(known.furthest_colour), std::move(known.furthest_shape),
                    std::move(known.same_shape),    std::move(known.left_right),      std::move(known.top_bottom)};
  return labels;
}

Example example_of(const data::Sample& sample, const std::vector<data::Question>& questions, int cell_size,
                   int label_size) {
  Example example{sample.pixels, {}};
  for (const data::Question& question : questions) example.questions.push_back({question.text, question.answer});
  for (size_t i = 0; i < sample.scene.objects.size(); ++i) {
    if (!sample.visible(i, cell_size)) continue;
    const data::Object& object = sample.scene.objects[i];
    example.objects.push_back(
        {sample.centres[i].x, sample.centres[i].y, {object.colour, data::kNumColours + object.shape}});
  }
  if (label_size > 0) example.labels = token_labels(sample, label_size);
  return example;
}

}  // namespace sf
