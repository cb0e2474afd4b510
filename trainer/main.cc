// sparsefusion-train: trains a mixture-of-experts visual language model and publishes its checkpoints into a store.
#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/flags.h"
#include "engine/base/progress.h"
#include "engine/base/wait_policy.h"
#include "trainer/tasks/registry.h"
#include "trainer/tasks/sort_of_clevr/export_scenes.h"
#include "trainer/tracking/metrics_server.h"
#include "trainer/tracking/training_metrics.h"
#include "trainer/trainer.h"

namespace {

std::atomic<bool> stop_requested{false};

extern "C" void on_signal(int) { stop_requested = true; }

struct Options {
  sf::TaskOptions task;
  sf::TrainOptions train;
  int metrics_port = -1;
  std::string metrics_host = "127.0.0.1";
  std::string export_folder;
  int export_images = 100;
};

void add_options(CLI::App& app, Options& o) {
  sf::TrainOptions& t = o.train;
  sf::TaskOptions& task = o.task;
  app.add_option("--data", task.data,
                 "sort-of-clevr, or your own .jsonl (image, question, answer) or .csv (image, caption)")
      ->capture_default_str();
  app.add_option(
      "--eval-data", task.eval_data,
      "Own data: a file of held-out rows, which are scored and never trained on; default: rows with \"split\": "
      "\"eval\", else --eval-fraction");
  app.add_option("--eval-fraction", task.eval_fraction,
                 "Own data: share of the rows that is held out, by their images; at least 32 rows, at most a fifth")
      ->capture_default_str();
  app.add_option("--model", t.model, "Preset: toy, tiny, seed (the original SparseFusion), small or base")
      ->capture_default_str();
  app.add_option("--out", t.out, "Store that versions are published into");
  app.add_option("--init", t.init, "Checkpoint directory to start from");
  app.add_flag("--resume", t.resume,
               "Go on from the store's last state: its last version, or what was not published since");
  app.add_option("--publish", t.publish,
                 "better: only versions that score no lower than the store's last one, else --init; all")
      ->capture_default_str();
  app.add_option("--epochs", t.epochs,
                 "Passes over your own images, or over --epoch-images generated ones; 0 = --steps counts")
      ->capture_default_str();
  app.add_option("--epoch-images", task.epoch_images, "Generated pictures that count as one epoch")
      ->capture_default_str();
  app.add_option("--steps", t.steps,
                 "Steps of the whole model; 0 = 5000, of your own data 30 passes over its images, 250 to 5000")
      ->capture_default_str();
  app.add_option("--vit-steps", t.vit_steps, "Steps of the vision encoder alone, before; 0 = none")
      ->capture_default_str();
  app.add_option("--vit-state", t.vit_state, "Phase 1's training state of an earlier run, to resume or reuse");
  app.add_option("--vit-init", t.vit_init,
                 "Vision encoder to start from: a checkpoint of `sparsefusion-model convert`, or of a whole model");
  app.add_flag("--freeze-vit", t.freeze_vit, "Leave the vision encoder as it is in phase 2");
  app.add_option("--projector", t.projector,
                 "Vision tokens to image tokens: cls, mlp or shuffle2; default: the preset's");
  app.add_option("--batch-size", t.batch_size, "Pictures in a step")->capture_default_str();
  app.add_option("--questions", t.questions, "Questions asked about each picture of a step")->capture_default_str();
  app.add_option("--vit-batch-size", t.vit_batch_size, "Pictures in a step of the vision encoder")
      ->capture_default_str();
  app.add_option("--learning-rate", t.learning_rate, "Peak of the warm-up, start of the cosine")->capture_default_str();
  app.add_option("--vit-rate-factor", t.vit_rate_factor, "Factor of the vision encoder's rate in phase 2; 0 freezes it")
      ->capture_default_str();
  app.add_option("--capacity-factor", t.losses.capacity_factor,
                 "Expert capacity C = ceil(k T / E x factor); 0 = no limit")
      ->capture_default_str();
  app.add_option("--balance-weight", t.losses.balance, "Weight of the load-balancing loss")->capture_default_str();
  app.add_option("--z-weight", t.losses.router_z, "Weight of the router's z-loss")->capture_default_str();
  app.add_option("--importance-weight", t.losses.importance, "Weight of Shazeer's importance loss")
      ->capture_default_str();
  app.add_option("--load-weight", t.losses.load, "Weight of Shazeer's load loss; needs router noise")
      ->capture_default_str();
  app.add_option("--modality-balance-weight", t.losses.modality,
                 "Weight of the loss that balances each modality's tokens")
      ->capture_default_str();
  app.add_option("--local-entropy-weight", t.losses.local_entropy,
                 "Weight of LIMoE's local entropy loss: each token sure of its experts")
      ->capture_default_str();
  app.add_option("--global-entropy-weight", t.losses.global_entropy,
                 "Weight of LIMoE's global entropy loss: each modality on half of the experts or more")
      ->capture_default_str();
  app.add_option("--bias-update-rate", t.losses.bias_update_rate, "Step of the balance bias (--bias-balancing)")
      ->capture_default_str();
  app.add_option("--alignment-weight", t.losses.alignment, "Weight of the word alignment of image tokens")
      ->capture_default_str();
  app.add_option("--dense-weight", t.losses.dense,
                 "Weight of the dense labels of the vision encoder's tokens in phase 2")
      ->capture_default_str();
  app.add_option("--vocab-size", t.vocab_size, "Pieces of the tokenizer trained for a new model")
      ->capture_default_str();
  app.add_option("--seed", t.seed, "Of the data, the weights and the router's noise")->capture_default_str();
  app.add_option("--threads", t.threads,
                 "Threads of the maths; 0 = the processors this process may use, cgroup quota included")
      ->capture_default_str();
  app.add_option("--data-threads", t.data_threads, "Threads that draw pictures")->capture_default_str();
  app.add_option("--evaluate-every", t.evaluate_every, "Steps between evaluations; each may publish a version")
      ->capture_default_str();
  app.add_option("--evaluation-pictures", task.evaluation_images,
                 "Held-out pictures of an evaluation; 0 = 100, of your own data all up to 2000")
      ->capture_default_str();
  app.add_option("--keep", t.keep, "Versions left in the store; those in use by a server are never removed")
      ->capture_default_str();
  app.add_option("--max-bad-rows", task.max_bad_rows, "Rows of your own data that may be skipped")
      ->capture_default_str();
  app.add_option("--metrics-port", o.metrics_port, "Prometheus metrics; 0 = any free port, -1 = none")
      ->capture_default_str();
  app.add_option("--metrics-host", o.metrics_host, "Address of the metrics port")->capture_default_str();
  app.add_option("--export-data", o.export_folder, "Write generated pictures and questions to this folder, and stop");
  app.add_option("--export-pictures", o.export_images, "Pictures to export")->capture_default_str();
}

// Recorded in the config.json of what is published. With --init or --resume only those that need no other weights.
void add_moe_options(CLI::App& app, sf::MoeOverrides& m) {
  app.add_option("--experts", m.num_experts, "Experts of a layer");
  app.add_option("--top-k", m.top_k, "Experts that a token is given to; 1 needs --router-softmax before");
  app.add_option("--expert-hidden", m.hidden, "Width of one expert");
  app.add_option("--shared-hidden", m.shared_hidden, "Width of the expert that every token passes; 0 = none");
  app.add_option("--expert-activation", m.activation, "swiglu, gelu or relu");
  app.add_option("--router-softmax", m.router_softmax, "after: over the k chosen (Mixtral); before: over all (Switch)");
  app.add_option("--renormalise", m.renormalise, "With --router-softmax before: gates divided by their sum");
  app.add_option("--router-noise", m.noisy, "Whether the router has learned noise (training only)");
  app.add_option("--noise-scale", m.noise_scale, "Factor of the router's noise");
  app.add_option("--bias-balancing", m.bias_balancing, "Balance by a bias on the choice instead of a loss (DeepSeek)");
  app.add_option("--drop-order", m.drop_order,
                 "Who keeps a place in a full expert: position, choice, probability, batch_priority");
  app.add_option("--expert-dropout", m.dropout, "What --expert-dropout-rate drops: output, hidden or expert");
  app.add_option("--expert-dropout-rate", m.dropout_rate, "Share that is dropped in training; 0 = none");
}

int run(Options& options, const CLI::App& app) {
  if (!options.export_folder.empty()) {
    sf::data::ExportOptions exported;
    exported.count = options.export_images;
    exported.seed = options.train.seed;
    sf::data::export_scenes(options.export_folder, exported);
    return sf::kExitSuccess;
  }
  if (options.train.out.empty()) std::cerr << "no --out: nothing will be published" << std::endl;
  options.train.vit_steps_given = app.count("--vit-steps") > 0;
  options.train.capacity_given = app.count("--capacity-factor") > 0;
  sf::TrainSink sink;
  sink.message = options.task.message = [](const std::string& line) { std::cerr << line << std::endl; };
  const std::unique_ptr<sf::Task> task = sf::make_task(options.task);
  sf::TrainingMetrics metrics(task->accuracy_kinds());
  std::optional<sf::MetricsServer> server;
  if (options.metrics_port >= 0) {
    server.emplace(options.metrics_host, options.metrics_port, [&metrics] { return metrics.text(); });
    std::cerr << "metrics at http://" << options.metrics_host << ":" << server->port() << "/metrics" << std::endl;
  }
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::optional<sf::Progress> progress;
  sink.step = [&](int64_t step, int64_t total, const sf::StepReport& report) {
    metrics.on_step(step, report);
    if (!progress) progress.emplace("train", total, "steps", sf::ProgressOptions{}, step - 1);
    progress->update(step, sf::concat("loss ", report.loss, " answer ", report.answer, " align ", report.alignment,
                                      " balance ", report.balance));
  };
  sink.evaluated = [&](int64_t step, const sf::TaskEvaluation& evaluation) {
    metrics.on_evaluated(evaluation);
    std::cerr << "\nstep " << step << ": " << evaluation.summary << std::endl;
  };
  sink.published = [&](int64_t version, int64_t step, double score) {
    metrics.on_published(step);
    std::cerr << "published version " << version << " (step " << step << ", score " << score << ")" << std::endl;
  };
  const sf::TrainOutcome outcome = sf::train(options.train, *task, sink, [] { return stop_requested.load(); });
  progress.reset();  // prints its last line
  std::cerr << outcome.summary << std::endl;
  return sf::kExitSuccess;
}

}  // namespace

int main(int argc, char** argv) {
  sf::wait_without_spinning(argv);
  Options options;
  return sf::run_program(
      {"sparsefusion-train", "Trains a mixture-of-experts visual language model and publishes its checkpoints",
       SF_VERSION},
      argc, argv,
      [&](CLI::App& app) {
        add_options(app, options);
        add_moe_options(app, options.train.moe);
      },
      [&](const CLI::App& app) { return run(options, app); });
}
