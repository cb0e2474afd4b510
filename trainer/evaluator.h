// A Vlm as what a task's evaluation asks. Packed, teacher-forced: an answer counts only if the argmax is right at every
// token of it, which is what greedy decoding would say.
//
//   VlmExaminee model(vlm, tokenizer);
//   TaskEvaluation evaluation = task.evaluate(model);
//
// One thread only.
#pragma once

#include "engine/model/vlm.h"
#include "trainer/task.h"

namespace sf {

// Evaluation mode while it asks, no gradients. Both references outlive it.
class VlmExaminee : public Examinee {
 public:
  // Errors: InvalidArgument (field "tokenizer.model") if the vocabulary lacks the template's tokens.
  VlmExaminee(Vlm& vlm, const Tokenizer& tokenizer) : vlm_(vlm), tokenizer_(tokenizer) {}
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  PreprocessOptions preprocess() const override;
  ExpertCounts ask(int count, const std::function<Example(int)>& make, const Visit& visit) override;
  std::vector<std::string> generate(const Example& example, int max_tokens) override;

 private:
  Vlm& vlm_;
  const Tokenizer& tokenizer_;
};

}  // namespace sf
