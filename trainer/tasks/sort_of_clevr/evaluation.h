// How many questions about held-out scenes are answered exactly, by kind, and where the tokens went.
//
//   EvaluationReport report = evaluate(model, {.kind = EvaluationSet::Kind::kPaper, .images = 500, .seed = 7});
//
// Pure functions, but for evaluate(): one thread only, the model's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "trainer/task.h"
#include "trainer/tasks/sort_of_clevr/questions.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf {

struct EvaluationSet {
  enum class Kind {
    kPaper,     // the paper's images and its 20 questions in the plain wording
    kVaried,    // training's images and wordings, held out by the seed: all kinds
    kDescribe,  // `describe the image`, one an image
    kAbsent,    // 20 questions about colours that the image lacks
    kNonScene,  // images that are no scenes, 4 questions each
  };
  Kind kind = Kind::kPaper;
  int images = 200;
  uint64_t seed = 7;
  bool paraphrased = false;  // kPaper: any wording
};

struct KindScore {
  int64_t asked = 0, right = 0;
  int64_t clear_asked = 0, clear_right = 0;  // margin of at least 3 pixels at the paper's scale
  double accuracy() const { return asked ? double(right) / double(asked) : 0; }
};

struct EvaluationReport {
  std::array<KindScore, data::kNumKinds> kinds;
  KindScore non_relational, relational, all;
  int64_t answerable = 0, answerable_refused = 0;  // answered with a refusal though the image has the answer
  ExpertCounts experts;
};

// A held-out image with its questions.
struct HeldOutImage {
  data::Sample sample;
  std::vector<data::Question> questions;
};

// Image `index` of the set; a pure function. Thread-safe.
HeldOutImage held_out_image(const EvaluationSet& set, const PreprocessOptions& pre, int index);

// What the trainer takes of it: pixels and questions.
Example example_of(const HeldOutImage& image);

// A held-out image and how its questions were answered: for looking at mistakes.
using VisitHeldOut = std::function<void(const HeldOutImage&, const std::vector<AnsweredQuestion>&)>;

// Effect: asks the whole set. `visit` (may be null) sees every image.
EvaluationReport evaluate(Examinee& model, const EvaluationSet& set, const VisitHeldOut& visit = nullptr);

// Adds the counts of `other`; histograms too.
void merge(EvaluationReport& into, const EvaluationReport& other);

}  // namespace sf
