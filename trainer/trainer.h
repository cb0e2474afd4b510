// The training job: phase 1 (vision encoder), phase 2 (whole model), evaluation, publishing, resuming.
//
//   TrainSink sink;   // a progress bar, the metrics port
//   sink.message = [](const std::string& line) { std::cout << line << '\n'; };
//   const TrainOutcome outcome = train({.out = "store"}, task, sink, [] { return stop_requested; });
//
// One thread only: train() blocks it, and calls the sink and `stop` on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "trainer/moe_overrides.h"
#include "trainer/task.h"
#include "trainer/train_step.h"

namespace sf {

struct TrainOptions {
  std::string model = "tiny";
  std::string out;                 // the store
  std::string init;                // checkpoint directory to start from; empty = from scratch
  bool resume = false;             // go on from the store's last state: a version, or one that was not published
  std::string publish = "better";  // "better" or "all"
  int64_t epochs = 0;              // passes over Task::images_per_epoch(); 0 = use steps
  int64_t steps = 0;               // phase 2; 0 = the task's default
  int64_t vit_steps = 6000;        // phase 1; 0 = none
  bool vit_steps_given = false;    // else a vision encoder that is given needs no phase 1
  std::string vit_state;           // phase 1's file of an earlier run
  std::string vit_init;            // checkpoint of a vision encoder, or of a whole model for its encoder
  bool freeze_vit = false;         // phase 2 leaves the encoder as it is: no gradient, no optimizer state
  std::string projector;           // "cls", "mlp" or "shuffle2"; empty = the preset's
  int batch_size = 16;             // images
  int questions = 8;               // of one image
  int vit_batch_size = 48;
  double learning_rate = 1e-3;
  double vit_rate_factor = 0.2;  // phase 2
  LossOptions losses;
  MoeOverrides moe;
  bool capacity_given = false;
  uint64_t seed = 1;
  int threads = 0;  // 0 = the processors this process may use
  int data_threads = 1;
  int64_t evaluate_every = 500;  // steps between evaluations, each of which may publish
  int keep = 5;                  // versions left in the store
  int vocab_size = 512;
  // How the trainer waits before it tries again to publish, at most a second a call.
  std::function<void(double seconds)> sleep_s = [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
};

// What a training run reports while it runs. Called on the training thread.
struct TrainSink {
  std::function<void(const std::string& line)> message;  // one plain line
  std::function<void(int64_t step, int64_t total, const StepReport&)> step;
  std::function<void(int64_t step, const TaskEvaluation&)> evaluated;
  std::function<void(int64_t version, int64_t step, double score)> published;
};

struct TrainOutcome {
  int64_t published_version = 0;  // the last one; 0 = none
  std::string summary;            // one line: what was published, or why not and how to publish it
};

// Effect: trains until the last step or until `stop` gives true (looked at once a step; what was computed since the
// last version is then published as the policy says, in phase 1 its state is written and nothing is published). With a
// store the last state is always kept there: in the version, or where that is not published in last_state.h's folder.
// Errors: InvalidArgument naming the option or file at fault.
TrainOutcome train(const TrainOptions& options, const Task& task, const TrainSink& sink,
                   const std::function<bool()>& stop);

}  // namespace sf
