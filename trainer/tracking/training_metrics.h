// What the training job exports on its metrics port (prefix sparsefusion_train_), as numbers; the HTTP side is
// metrics_server.h.
//
//   TrainingMetrics metrics(task.accuracy_kinds());
//   metrics.on_step(step, report);
//   const std::string body = metrics.text();
//
// Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trainer/trainer.h"

namespace sf {

class TrainingMetrics {
 public:
  // `kinds`: the accuracies that are there from the first scrape.
  explicit TrainingMetrics(const std::vector<std::string>& kinds);
  ~TrainingMetrics();
  void on_step(int64_t step, const StepReport& report);
  void on_evaluated(const TaskEvaluation& evaluation);
  void on_published(int64_t step);
  // Prometheus text format 0.0.4.
  std::string text() const;

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace sf
