// A task that asks another: what a test overrides is the one thing that differs.
#pragma once

#include "trainer/task.h"

namespace sf::test {

// `task` outlives it.
class ForwardingTask : public Task {
 public:
  explicit ForwardingTask(const Task& task) : task_(task) {}
  std::vector<Example> examples(const ExampleRequest& request) const override { return task_.examples(request); }
  std::vector<Example> encoder_examples(const ExampleRequest& request) const override {
    return task_.encoder_examples(request);
  }
  std::vector<std::string> object_words() const override { return task_.object_words(); }
  std::vector<DenseTarget> dense_targets() const override { return task_.dense_targets(); }
  std::vector<std::string> tokenizer_corpus(uint64_t seed) const override { return task_.tokenizer_corpus(seed); }
  int64_t images_per_epoch() const override { return task_.images_per_epoch(); }
  int64_t default_steps(int batch_size) const override { return task_.default_steps(batch_size); }
  int64_t warmup_steps(int64_t total_steps) const override { return task_.warmup_steps(total_steps); }
  std::string evaluation_id() const override { return task_.evaluation_id(); }
  TaskEvaluation evaluate(Examinee& model) const override { return task_.evaluate(model); }
  std::vector<std::string> accuracy_kinds() const override { return task_.accuracy_kinds(); }
  std::vector<Example> golden_examples(const PreprocessOptions& pre) const override {
    return task_.golden_examples(pre);
  }

 private:
  const Task& task_;
};

}  // namespace sf::test
