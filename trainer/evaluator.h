// How many questions are answered exactly, by kind, and where the tokens went. Packed, teacher-forced: a row counts
// only if the argmax is right at every token of the answer, which is what greedy decoding would say.
//
//   EvaluationReport report = evaluate(vlm, tokenizer, {.kind = EvaluationSet::Kind::kPaper, .images = 500, .seed =
//   7});
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "engine/model/vlm.h"
#include "engine/text/tokenizer.h"
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
  int64_t answerable = 0, answerable_refused = 0;            // answered with a refusal though the image has the answer
  std::vector<std::vector<int64_t>> expert_histogram;        // [layers][experts]
  std::vector<std::vector<int64_t>> image_expert_histogram;  // of those, image tokens
};

// A held-out image with its questions and whether each was answered: for golden.json and for looking at mistakes.
struct EvaluatedImage {
  data::Sample sample;
  std::vector<data::Question> questions;
  std::vector<bool> right;
  std::vector<float> margin;  // smallest top-2 logit gap over the answer's tokens
};

// Effect: evaluation mode, no gradients. `visit` (may be null) sees every image. One thread only.
EvaluationReport evaluate(Vlm& vlm, const Tokenizer& tokenizer, const EvaluationSet& set,
                          const std::function<void(const EvaluatedImage&)>& visit = nullptr);

// Adds the counts of `other`; histograms too.
void merge(EvaluationReport& into, const EvaluationReport& other);

}  // namespace sf
