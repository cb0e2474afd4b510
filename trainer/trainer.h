// The training job: phase 1 (vision encoder), phase 2 (whole model), evaluation, publishing, resuming.
//
//   TrainReportSink sink = ...;             // progress bar, metrics port
//   train(options, sink);
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "trainer/evaluator.h"
#include "trainer/moe_overrides.h"
#include "trainer/train_step.h"

namespace sf {

struct TrainOptions {
  std::string data = "sort-of-clevr";  // or a .jsonl or .csv file
  std::string model = "tiny";
  std::string out;                 // the store
  std::string init;                // checkpoint directory to start from; empty = from scratch
  bool resume = false;             // go on from the store's last version
  std::string publish = "better";  // "better" or "all"
  int64_t epochs = 0;              // one epoch = epoch_images images; 0 = use steps
  int64_t epoch_images = 10'000;
  int64_t steps = 5000;          // phase 2
  int64_t vit_steps = 6000;      // phase 1; 0 = none
  bool vit_steps_given = false;  // else a vision encoder that is given needs no phase 1
  std::string vit_state;         // phase 1's file of an earlier run
  std::string vit_init;          // checkpoint of a vision encoder, or of a whole model for its encoder
  bool freeze_vit = false;       // phase 2 leaves the encoder as it is: no gradient, no optimizer state
  std::string projector;         // "cls", "mlp" or "shuffle2"; empty = the preset's
  int batch_size = 16;           // images
  int questions = 8;             // of one image
  int vit_batch_size = 48;
  double learning_rate = 1e-3;
  double vit_rate_factor = 0.2;  // phase 2
  double non_scene_fraction = 0.06;
  LossOptions losses;
  MoeOverrides moe;
  bool capacity_given = false;
  uint64_t seed = 1;
  int threads = 0;  // 0 = the processors this process may use
  int data_threads = 1;
  int64_t evaluate_every = 500;  // steps between evaluations, each of which may publish
  int evaluation_images = 100;
  int keep = 5;  // versions left in the store
  int max_bad_rows = 0;
  int vocab_size = 512;
  // How the trainer waits before it tries again to publish, at most a second a call.
  std::function<void(double seconds)> sleep_s = [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
};

// What a training run tells while it runs. Called on the training thread.
struct TrainSink {
  std::function<void(const std::string& line)> message;  // one plain line
  std::function<void(int64_t step, int64_t total, const StepReport&)> step;
  std::function<void(int64_t step, const EvaluationReport&, double score)> evaluated;
  std::function<void(int64_t version, int64_t step, double score)> published;
};

// Effect: trains until the last step or until `stop` gives true (looked at once a step; what was computed since the
// last version is then published as the policy says, in phase 1 its state is written and nothing is published). Errors:
// InvalidArgument naming the option or file at fault.
void train(const TrainOptions& options, const TrainSink& sink, const std::function<bool()>& stop);

// The score of a version: mean accuracy over paper images (non-relational and relational) and varied ones.
struct Scores {
  std::map<std::string, double> values;  // "score", "non_relational", "relational", "varied", ...
  EvaluationReport report;
};
Scores score_model(Vlm& vlm, const Tokenizer& tokenizer, int images);

}  // namespace sf
