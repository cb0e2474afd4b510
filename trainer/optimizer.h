// AdamW with decoupled weight decay over groups of parameters, a warm-up and a cosine, and clipping by the global norm.
//
//   Optimizer optimizer(model.named_parameters(), options);
//   loss.backward();
//   optimizer.step(step);      // sets the rate for `step`, clips, updates, clears the gradients
//
// One thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <torch/torch.h>

namespace sf {

struct OptimizerOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.98;
  double epsilon = 1e-8;
  double weight_decay = 0.05;  // of matrices only: never of biases, norms, embeddings of positions, bias tables
  double clip_norm = 1.0;
  int64_t warmup_steps = 200;
  int64_t total_steps = 1000;
  double final_ratio = 0.02;  // of the learning rate, at total_steps
  // Factor of one parameter's learning rate, by its name; 0 freezes it.
  std::function<double(const std::string&)> rate_factor = [](const std::string&) { return 1.0; };
};

// The schedule alone: linear warm-up, then a cosine to final_ratio.
double scheduled_rate(const OptimizerOptions& options, int64_t step);

class Optimizer {
 public:
  Optimizer(const torch::OrderedDict<std::string, at::Tensor>& parameters, OptimizerOptions options);
  // Effect: one update; returns the gradient's norm before clipping. Parameters without a gradient stay. A non-finite
  // norm changes nothing and is returned.
  double step(int64_t step);
  // The moments, named "m.<parameter>" and "v.<parameter>", and the number of updates "updates".
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  // Errors: InvalidArgument naming a tensor that is missing or has another shape.
  void load_state(const std::vector<std::pair<std::string, at::Tensor>>& state);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter, m, v;
    double rate_factor, weight_decay;
  };
  OptimizerOptions options_;
  std::vector<Slot> slots_;
  int64_t updates_ = 0;
};

}  // namespace sf
