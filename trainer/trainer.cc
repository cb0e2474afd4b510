#include "trainer/trainer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "engine/base/backoff.h"
#include "engine/base/machine_fault.h"
#include "engine/base/strict_json.h"
#include "engine/base/usable_processors.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/checkpoint/store.h"
#include "engine/runtime/checkpoint_model.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/weights.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "trainer/checkpointer.h"
#include "trainer/evaluator.h"
#include "trainer/last_state.h"
#include "trainer/prefetcher.h"
#include "trainer/pretrain_vit.h"
#include "trainer/training_state.h"
#include "trainer/vision_checkpoint.h"

namespace sf {
namespace {

constexpr const char* kStateFile = "state.safetensors";
// What a run is, beyond its tensors: {"warm": 0 or 1}; of a state that was not published also
// {"after_version": the store's last, "parent_score": ...}.
constexpr const char* kRunFile = "run.json";
constexpr double kPatienceS = 300;  // with a disk that is full or a store that is away

std::string train_tokenizer(const Task& task, const TrainOptions& options) {
  TokenizerTraining training;
  training.vocab_size = options.vocab_size;
  training.control_symbols = {"<image>", "<question>"};
  const std::vector<std::string> corpus = task.tokenizer_corpus(options.seed);
  try {
    return train_sentencepiece(corpus, training);
  } catch (const Error&) {
    training.exact = false;  // few sentences hold fewer pieces
    return train_sentencepiece(corpus, training);
  }
}

struct RunFile {
  bool warm = false;
  int64_t after_version = -1;
  double parent_score = -1;
};

RunFile parse_run_file(const std::string& text) {
  const nlohmann::json object = parse_strict_json(text, kRunFile);
  RunFile run;
  run.warm = json_int(object, "warm", 0, 1, kRunFile) == 1;
  if (object.contains("after_version")) {
    run.after_version = json_int(object, "after_version", 0, std::numeric_limits<int64_t>::max(), kRunFile);
    run.parent_score = json_number(object, "parent_score", kRunFile);
  }
  return run;
}

RunFile read_run_file(const std::filesystem::path& folder, const Manifest& manifest) {
  if (!manifest.training_state.contains(kRunFile)) return {.warm = true};
  return parse_run_file(read_training_state(folder, manifest, kRunFile));
}

// The run's state between steps.
class Run {
 public:
  Run(const TrainOptions& options, const Task& task, const TrainSink& sink, const std::function<bool()>& stop)
      : options_(options), task_(task), sink_(sink), stop_(stop) {
    start();
  }
  TrainOutcome phase2();

 private:
  void start();
  void resume(const std::filesystem::path& folder, const std::string& name);
  std::optional<std::filesystem::path> state_to_resume() const;
  void start_from(const VerifiedCheckpoint& checkpoint);
  void start_from_scratch();
  void phase1();
  void make_optimizer();
  void score_parent();
  ExampleRequest example_request() const;
  PackedBatch make_packed(int64_t step) const;
  TaskEvaluation evaluate(Vlm& vlm, const Tokenizer& tokenizer) const;
  void evaluate_and_publish(int64_t step);
  CheckpointContent content_of(int64_t step, const TaskEvaluation& evaluation) const;
  void publish(int64_t step, CheckpointContent content);
  void keep(CheckpointContent content);
  void patiently(const char* what, const std::function<void()>& work);
  TrainOutcome outcome() const;

  const TrainOptions& options_;
  const Task& task_;
  const TrainSink& sink_;
  const std::function<bool()>& stop_;
  std::string tokenizer_model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<Vlm> vlm_;
  std::unique_ptr<AuxiliaryHeads> heads_;
  torch::OrderedDict<std::string, at::Tensor> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  int64_t total_steps_ = 0, first_step_ = 0;
  bool stopped_ = false;                // by the user
  bool warm_ = false;                   // started from a model that can answer
  std::vector<StoreVersion> versions_;  // of the store when the run began
  bool resumed_unpublished_ = false;
  std::string parent_;
  double parent_score_ = -1;
  // What outcome() says.
  int64_t published_version_ = 0, published_step_ = 0;
  double published_score_ = 0;
  std::string kept_;  // why the last state was not published; empty where it was
};

void Run::start() {
  total_steps_ = options_.steps > 0 ? options_.steps : task_.default_steps(options_.batch_size);
  if (options_.epochs > 0)
    total_steps_ = std::max<int64_t>(1, options_.epochs * task_.images_per_epoch() / options_.batch_size);
  torch::manual_seed(options_.seed);
  if (!options_.out.empty()) versions_ = list_versions(options_.out);
  if (const auto unpublished = state_to_resume()) {
    resumed_unpublished_ = true;
    resume(*unpublished, "the state that was not published");
  } else if (options_.resume && !versions_.empty()) {
    resume(versions_.back().path, concat("version ", versions_.back().number));
  } else if (!options_.init.empty()) {
    start_from(open_checkpoint(options_.init));
  } else {
    start_from_scratch();
  }
  const MoeConfig& moe = vlm_->config().decoder.moe;
  if (options_.losses.load > 0 && (!moe.noisy || moe.noise_scale == 0)) {
    throw invalid_argument("load-weight", "load-weight: the load loss needs a model with router noise");
  }
  if (!optimizer_) make_optimizer();
  if (options_.publish == "better" && !options_.out.empty() && parent_score_ < 0) score_parent();
}

// Nothing where there is none, or a version has been published since.
std::optional<std::filesystem::path> Run::state_to_resume() const {
  if (!options_.resume) return std::nullopt;
  const auto folder = find_last_state(options_.out);
  if (!folder) return std::nullopt;
  const RunFile run = read_run_file(*folder, open_checkpoint(*folder).manifest());
  const int64_t last = versions_.empty() ? 0 : versions_.back().number;
  return run.after_version == last ? folder : std::nullopt;
}

void Run::resume(const std::filesystem::path& folder, const std::string& name) {
  const VerifiedCheckpoint checkpoint = open_checkpoint(folder);
  const Manifest& manifest = checkpoint.manifest();
  start_from(checkpoint);
  make_optimizer();  // whose moments are restored next
  const RunFile run = read_run_file(folder, manifest);
  if (run.after_version >= 0) {
    parent_ = manifest.parent;
    if (manifest.evaluation_id == task_.evaluation_id()) parent_score_ = run.parent_score;
  }
  if (!manifest.training_state.contains(kStateFile)) return;
  try {
    first_step_ = restore_training_state(read_training_state(folder, manifest, kStateFile), parameters_, *optimizer_);
  } catch (const MachineFault&) {
    throw;
  } catch (const Error& error) {
    throw invalid_argument("resume", "resume: ", name, " is the state of another kind of run (", error.what(),
                           "); --init ", folder.string(), " begins a new one with its weights");
  }
  warm_ = run.warm;
  sink_.message(concat("resuming ", name, " at step ", first_step_));
}

TaskEvaluation Run::evaluate(Vlm& vlm, const Tokenizer& tokenizer) const {
  VlmExaminee model(vlm, tokenizer);
  return task_.evaluate(model);
}

// What a version to publish must reach: the store's last one, else what the run began with.
void Run::score_parent() {
  const bool began_with_last = options_.resume && !resumed_unpublished_;
  if (!versions_.empty() && !began_with_last) {
    const StoreVersion& last = versions_.back();
    try {
      const CheckpointModel model = load_checkpoint_model(open_checkpoint(last.path));
      parent_score_ = evaluate(*model.vlm, *model.tokenizer).score();
      return;
    } catch (const MachineFault&) {
      throw;
    } catch (const Error& error) {
      sink_.message(concat("version ", last.number, " cannot be scored: ", error.what()));
    }
  }
  if (!parent_.empty() && !resumed_unpublished_) {
    parent_score_ = evaluate(*vlm_, *tokenizer_).score();
  } else if (resumed_unpublished_ && !options_.init.empty()) {
    const CheckpointModel model = load_checkpoint_model(open_checkpoint(options_.init));
    parent_score_ = evaluate(*model.vlm, *model.tokenizer).score();
  }
}

void Run::start_from(const VerifiedCheckpoint& checkpoint) {
  CheckpointModel model = load_checkpoint_model(checkpoint);
  tokenizer_model_ = std::string(checkpoint.file("tokenizer.model"));
  tokenizer_ = model.tokenizer;
  vlm_ = with_overrides(model.vlm, options_.moe);
  parent_ = checkpoint.digest();
  warm_ = true;
}

void Run::start_from_scratch() {
  tokenizer_model_ = train_tokenizer(task_, options_);
  tokenizer_ = load_sentencepiece(tokenizer_model_);
  ModelConfig config = model_preset(options_.model);
  std::optional<VisionCheckpoint> encoder;
  if (!options_.vit_init.empty()) {
    encoder = open_vision_checkpoint(options_.vit_init);
    use_encoder(config, encoder->config);
  }
  if (!options_.projector.empty()) set_projector(config, parse_projector(options_.projector));
  config.decoder.vocab_size = tokenizer_->vocab_size();
  config.single_turn = true;  // every row of the data is one question
  config.normalize_questions = true;
  if (options_.capacity_given) config.decoder.moe.capacity_factor = options_.losses.capacity_factor;
  vlm_ = std::make_shared<Vlm>(parse_model_config(to_json(options_.moe.applied_to(config))));
  if (encoder) load_encoder(*encoder, *vlm_);
  const bool train_encoder = options_.vit_steps > 0 && (!encoder || options_.vit_steps_given);
  if (options_.vit_state.empty() && !train_encoder) return;
  if (task_.dense_targets().empty()) {
    sink_.message("the vision encoder is not trained alone first: the data says nothing of its tokens");
  } else {
    phase1();
  }
}

void Run::phase1() {
  Vit& vit = vlm_->vit();
  PretrainOptions pretrain;
  pretrain.steps = options_.vit_steps;
  pretrain.batch_size = options_.vit_batch_size;
  pretrain.seed = options_.seed;
  pretrain.data_threads = options_.data_threads;
  pretrain.checkpoint_path = options_.vit_state;
  if (pretrain.checkpoint_path.empty() && !options_.out.empty()) {
    std::filesystem::create_directories(options_.out);
    pretrain.checkpoint_path = (std::filesystem::path(options_.out) / ".pretrain_vit.safetensors").string();
  }
  const std::vector<DenseTarget> targets = task_.dense_targets();
  const auto print = [&](const PretrainReport& report) {
    std::string line = concat("vit step ", report.step, "/", pretrain.steps, " loss ", report.loss);
    for (size_t t = 0; t < targets.size(); ++t) line += concat(" ", targets[t].name, " ", report.accuracy.accuracy[t]);
    sink_.message(line);
  };
  stopped_ = !pretrain_vit(vit, vlm_->config().vision, task_, preprocess_options(vlm_->config().image), pretrain, print,
                           stop_);
  if (stopped_ && !pretrain.checkpoint_path.empty()) {
    sink_.message(
        concat("stopped while the vision encoder trains alone; ", pretrain.checkpoint_path, " is where it goes on"));
  }
}

void Run::make_optimizer() {
  for (const auto& item : vlm_->named_parameters()) parameters_.insert(item.key(), item.value());
  heads_ = std::make_unique<AuxiliaryHeads>(vlm_->config(), task_, *tokenizer_);
  for (const auto& item : heads_->parameters()) parameters_.insert(item.key(), item.value());
  OptimizerOptions optimizer;
  optimizer.learning_rate = options_.learning_rate;
  optimizer.total_steps = total_steps_;
  optimizer.warmup_steps = task_.warmup_steps(total_steps_);
  if (options_.freeze_vit) {
    for (auto& item : vlm_->vision_parameters()) item.value().set_requires_grad(false);
  }
  optimizer.rate_factor = [factor = options_.freeze_vit ? 0.0 : options_.vit_rate_factor](const std::string& name) {
    return Vlm::is_vision_parameter(name) ? factor : 1.0;
  };
  optimizer_ = std::make_unique<Optimizer>(parameters_, optimizer);
}

ExampleRequest Run::example_request() const {
  ExampleRequest request;
  request.pre = preprocess_options(vlm_->config().image);
  request.num_images = options_.batch_size;
  request.num_questions = options_.questions;
  request.seed = options_.seed;
  request.warm = warm_;
  const bool labelled = !heads_->targets.empty() && options_.losses.dense > 0 && !options_.freeze_vit;
  if (labelled) request.label_size = vlm_->config().vision.token_size;
  return request;
}

PackedBatch Run::make_packed(int64_t step) const {
  ExampleRequest request = example_request();
  request.step = step;
  request.progress = double(step) / double(total_steps_);
  PackedBatchOptions packing = packed_batch_options(vlm_->config());
  packing.num_words = heads_->words.size();
  packing.num_targets = heads_->targets.size();
  return packed_batch(task_.examples(request), *tokenizer_, packing);
}

TrainOutcome Run::phase2() {
  Prefetcher<PackedBatch> batches([this](int64_t step) { return make_packed(step); }, first_step_,
                                  {.threads = options_.data_threads, .depth = 4});
  const std::vector<at::Tensor> biases = vlm_->balance_biases();
  int64_t step = first_step_;
  // A finished run that did not publish: the policy may be another one now.
  if (resumed_unpublished_ && step >= total_steps_) evaluate_and_publish(step);
  while (step < total_steps_ && !stopped_) {
    // Noise is keyed by the step, so that a resumed run draws what the uninterrupted one would have drawn.
    torch::manual_seed(options_.seed * 1'000'000'007ull + static_cast<uint64_t>(step));
    vlm_->train();
    Losses losses = forward_losses(*vlm_, batches.next(), heads_.get(), options_.losses);
    losses.total.backward();
    losses.report.grad_norm = optimizer_->step(step);
    step_balance_biases(biases, losses.report.layers, options_.losses.bias_update_rate);
    ++step;
    sink_.step(step, total_steps_, losses.report);
    stopped_ = stop_();
    if (step % options_.evaluate_every == 0 || step == total_steps_ || stopped_) evaluate_and_publish(step);
  }
  return outcome();
}

// A full disk or a store that is away for a moment must not cost hours of training.
void Run::patiently(const char* what, const std::function<void()>& work) {
  Backoff backoff(1, 60);
  double waited_s = 0;
  while (true) {
    try {
      return work();
    } catch (const std::exception& error) {
      if (!is_machine_fault(error) || waited_s >= kPatienceS || stop_()) throw;
      const double delay_s = backoff.next_s();
      sink_.message(concat(what, ": ", error.what(), "; tried again in ", delay_s, " s"));
      for (double left_s = delay_s; left_s > 0 && !stop_(); left_s -= 1) options_.sleep_s(std::min(left_s, 1.0));
      waited_s += delay_s;
    }
  }
}

void Run::evaluate_and_publish(int64_t step) {
  const TaskEvaluation evaluation = evaluate(*vlm_, *tokenizer_);
  sink_.evaluated(step, evaluation);
  if (options_.out.empty()) return;
  if (options_.publish == "better" && evaluation.score() < parent_score_) {
    kept_ = concat("step ", step, ": score ", evaluation.score(), " is below the parent's ", parent_score_);
    keep(content_of(step, evaluation));
    sink_.message(concat(kept_, ": not published"));
    return;
  }
  publish(step, content_of(step, evaluation));
}

CheckpointContent Run::content_of(int64_t step, const TaskEvaluation& evaluation) const {
  CheckpointContent content;
  content.vlm = vlm_.get();
  content.tokenizer_model = tokenizer_model_;
  content.training_state = {{kStateFile, training_state_bytes(parameters_, *optimizer_, step)},
                            {kRunFile, concat("{\"warm\": ", warm_ ? 1 : 0, "}\n")}};
  content.step = step;
  content.parent = parent_;
  content.scores = evaluation.scores;
  content.evaluation_id = task_.evaluation_id();
  content.expert_histogram = evaluation.experts.all;
  content.image_expert_histogram = evaluation.experts.image;
  return content;
}

void Run::publish(int64_t step, CheckpointContent content) {
  int64_t version = 0;
  patiently("looking at the store", [&] { version = next_version(options_.out); });
  content.golden_json =
      make_golden(*vlm_, *tokenizer_, task_.golden_examples(preprocess_options(vlm_->config().image)));
  bool again = false;
  patiently("publishing", [&] {
    // The rename may have come through before the fault did.
    if (std::exchange(again, true) && next_version(options_.out) > version) return;
    const std::filesystem::path directory = begin_version(options_.out, version);
    write_checkpoint(directory, content);
    publish_version(options_.out, version);
  });
  patiently("reading what was published",
            [&] { parent_ = open_checkpoint(std::filesystem::path(options_.out) / std::to_string(version)).digest(); });
  parent_score_ = content.scores.at("score");
  patiently("pruning", [&] {
    forget_last_state(options_.out);
    prune_store(options_.out, options_.keep, {});
  });
  published_version_ = version;
  published_step_ = step;
  published_score_ = parent_score_;
  kept_.clear();
  sink_.published(version, step, parent_score_);
}

// Without golden answers: no server checks it.
void Run::keep(CheckpointContent content) {
  content.golden_json = "{\"format_version\": 1, \"cases\": []}\n";
  patiently("keeping the last state", [&] {
    const auto versions = list_versions(options_.out);
    const int64_t last = versions.empty() ? 0 : versions.back().number;
    nlohmann::ordered_json run = {{"warm", warm_ ? 1 : 0}, {"after_version", last}, {"parent_score", parent_score_}};
    content.training_state[kRunFile] = run.dump() + "\n";
    keep_last_state(options_.out, [&](const std::filesystem::path& folder) { write_checkpoint(folder, content); });
  });
}

TrainOutcome Run::outcome() const {
  TrainOutcome out{published_version_, ""};
  const std::string published = concat("version ", published_version_, " of ", options_.out, " (step ", published_step_,
                                       ", score ", published_score_, ")");
  const std::string next = concat("; that state is kept in ", options_.out,
                                  ": the same command with --resume goes on from it, with --resume --publish all it "
                                  "publishes it");
  if (options_.out.empty()) {
    out.summary = "nothing was published: there is no --out";
  } else if (!kept_.empty()) {
    out.summary = concat(
        published_version_ > 0 ? concat(published, " is the last one published: ") : "nothing was published: ", kept_,
        next);
  } else if (published_version_ > 0) {
    out.summary = concat("published ", published);
  } else {
    out.summary = "nothing was published: no step of the whole model was left to train";
  }
  return out;
}

void check(const TrainOptions& options) {
  auto require = [](bool condition, const std::string& field, const std::string& message) {
    if (!condition) throw invalid_argument(field, field, ": ", message);
  };
  require(options.batch_size >= 1 && options.batch_size <= 4096, "batch-size", "must be 1..4096");
  require(options.questions >= 1 && options.questions <= 64, "questions", "must be 1..64");
  require(options.publish == "better" || options.publish == "all", "publish",
          "must be better or all, got " + options.publish);
  require(options.steps >= 0, "steps", "must not be negative");
  require(options.evaluate_every >= 1, "evaluate-every", "must be at least 1");
  require(!options.resume || !options.out.empty(), "resume", "needs --out");
  require(options.keep >= 1, "keep", "must be at least 1");
  const LossOptions& losses = options.losses;
  require(losses.importance >= 0, "importance-weight", "must not be negative");
  require(losses.load >= 0, "load-weight", "must not be negative");
  require(losses.modality >= 0, "modality-balance-weight", "must not be negative");
  require(losses.bias_update_rate >= 0, "bias-update-rate", "must not be negative");
  require(losses.local_entropy >= 0, "local-entropy-weight", "must not be negative");
  require(losses.global_entropy >= 0, "global-entropy-weight", "must not be negative");
  require(options.init.empty() || options.vit_init.empty(), "vit-init", "--init brings its own vision encoder");
  require(options.init.empty() || options.projector.empty(), "projector", "--init brings its own projector");
}

}  // namespace

TrainOutcome train(const TrainOptions& options, const Task& task, const TrainSink& sink,
                   const std::function<bool()>& stop) {
  check(options);
  at::set_num_threads(threads_or_default(options.threads));
  return Run(options, task, sink, stop).phase2();
}

}  // namespace sf
