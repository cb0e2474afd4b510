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
#include "trainer/prefetcher.h"
#include "trainer/pretrain_vit.h"
#include "trainer/tasks/sort_of_clevr/curriculum.h"
#include "trainer/training_state.h"
#include "trainer/vision_checkpoint.h"

namespace sf {
namespace {

constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kRunFile = "run.json";  // what a run is, beyond its tensors: {"warm": 0 or 1}
constexpr int64_t kMaxStateBytes = int64_t{4} << 30;
constexpr uint64_t kEvaluationSeed = 90'001;  // never a training stream
constexpr int kGoldenImages = 12;
constexpr int kCorpusSentences = 60'000;
constexpr double kPatienceS = 300;  // with a disk that is full or a store that is away

std::string train_tokenizer(const TrainOptions& options) {
  data::Rng rng(options.seed, 77);
  TokenizerTraining training;
  training.vocab_size = options.vocab_size;
  training.control_symbols = {"<image>", "<question>"};
  return train_sentencepiece(data::tokenizer_corpus(rng, kCorpusSentences), training);
}

// The run's state between steps.
class Run {
 public:
  Run(const TrainOptions& options, const TrainSink& sink, const std::function<bool()>& stop)
      : options_(options), sink_(sink), stop_(stop) {
    start();
  }
  void phase2();

 private:
  void start();
  void start_from(const VerifiedCheckpoint& checkpoint);
  void start_from_scratch();
  void phase1();
  void make_optimizer();
  void load_user_rows();
  data::DatasetOptions dataset_options() const;
  PackedBatch make_packed(int64_t step) const;
  void evaluate_and_publish(int64_t step);
  void patiently(const char* what, const std::function<void()>& work);

  const TrainOptions& options_;
  const TrainSink& sink_;
  const std::function<bool()>& stop_;
  std::string tokenizer_model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<Vlm> vlm_;
  std::unique_ptr<AuxiliaryHeads> heads_;
  torch::OrderedDict<std::string, at::Tensor> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<data::UserData> user_data_;
  int64_t total_steps_ = 0, first_step_ = 0;
  bool stopped_ = false;  // by the user
  bool warm_ = false;     // started from a model that can answer
  std::string parent_;
  double parent_score_ = -1;
};

void Run::start() {
  total_steps_ = options_.steps;
  if (options_.epochs > 0)
    total_steps_ = std::max<int64_t>(1, options_.epochs * options_.epoch_images / options_.batch_size);
  torch::manual_seed(options_.seed);
  load_user_rows();
  const auto versions = options_.out.empty() ? std::vector<StoreVersion>{} : list_versions(options_.out);
  if (options_.resume && !versions.empty()) {
    const VerifiedCheckpoint checkpoint = open_checkpoint(versions.back().path);
    start_from(checkpoint);
    make_optimizer();  // whose moments are restored next
    if (checkpoint.manifest().training_state.contains(kStateFile)) {
      const std::string state = read_training_state(versions.back().path, checkpoint.manifest(), kStateFile);
      first_step_ = restore_training_state(state, parameters_, *optimizer_);
      if (checkpoint.manifest().training_state.contains(kRunFile)) {
        const std::string run = read_training_state(versions.back().path, checkpoint.manifest(), kRunFile);
        warm_ = json_int(parse_strict_json(run, kRunFile), "warm", 0, 1, kRunFile) == 1;
      }
      sink_.message(concat("resuming version ", versions.back().number, " at step ", first_step_));
    }
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
  if (!parent_.empty() && options_.publish == "better")
    parent_score_ = score_model(*vlm_, *tokenizer_, options_.evaluation_images).values.at("score");
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
  tokenizer_model_ = train_tokenizer(options_);
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
  if (!options_.vit_state.empty() || train_encoder) phase1();
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
  data::SampleOptions images = dataset_options().samples;
  const auto tell = [&](const PretrainReport& report) {
    std::string line = concat("vit step ", report.step, "/", pretrain.steps, " loss ", report.loss);
    for (int t = 0; t < DenseHeads::kNumTargets; ++t)
      line += concat(" ", DenseHeads::kNames[t], " ", report.accuracy.accuracy[t]);
    sink_.message(line);
  };
  stopped_ = !pretrain_vit(vit, vlm_->config().vision, images, pretrain, tell, stop_);
  if (stopped_ && !pretrain.checkpoint_path.empty()) {
    sink_.message(
        concat("stopped while the vision encoder trains alone; ", pretrain.checkpoint_path, " is where it goes on"));
  }
}

void Run::make_optimizer() {
  for (const auto& item : vlm_->named_parameters()) parameters_.insert(item.key(), item.value());
  heads_ = std::make_unique<AuxiliaryHeads>(vlm_->config());
  parameters_.insert("alignment_bias", heads_->alignment_bias);
  for (const auto& item : heads_->dense.named_parameters()) parameters_.insert("dense." + item.key(), item.value());
  OptimizerOptions optimizer;
  optimizer.learning_rate = options_.learning_rate;
  optimizer.total_steps = total_steps_;
  if (options_.freeze_vit) {
    for (auto& item : vlm_->vision_parameters()) item.value().set_requires_grad(false);
  }
  optimizer.rate_factor = [factor = options_.freeze_vit ? 0.0 : options_.vit_rate_factor](const std::string& name) {
    return Vlm::is_vision_parameter(name) ? factor : 1.0;
  };
  optimizer_ = std::make_unique<Optimizer>(parameters_, optimizer);
}

void Run::load_user_rows() {
  if (options_.data == "sort-of-clevr") return;
  data::UserDataOptions user_options;
  user_options.max_bad_rows = options_.max_bad_rows;
  user_data_ = data::load_user_data(options_.data, user_options);
  for (const data::BadRow& row : user_data_->bad_rows)
    sink_.message(concat(options_.data, ":", row.line, ": skipped: ", row.reason));
}

data::DatasetOptions Run::dataset_options() const {
  data::DatasetOptions data;
  data.batch_size = options_.batch_size;
  data.samples.pre = preprocess_options(vlm_->config().image);
  data.samples.non_scene_fraction = static_cast<float>(options_.non_scene_fraction);
  data.questions.count = options_.questions;
  return data;
}

PackedBatch Run::make_packed(int64_t step) const {
  data::DatasetOptions base = dataset_options();
  const data::Batch batch = user_data_ ? data::make_user_batch(*user_data_, base.samples.pre, options_.batch_size,
                                                               options_.questions, options_.seed, step)
                                       : data::make_batch(curriculum(base, double(step) / double(total_steps_), warm_),
                                                          options_.seed + 1'000'003, step);
  PackedBatchOptions packing = packed_batch_options(vlm_->config());
  if (!user_data_ && options_.losses.dense > 0 && !options_.freeze_vit)
    packing.dense_token_size = vlm_->config().vision.token_size;
  return packed_batch(batch.samples, batch.questions, *tokenizer_, packing);
}

void Run::phase2() {
  const std::vector<int> words = alignment_words(*tokenizer_);
  Prefetcher<PackedBatch> batches([this](int64_t step) { return make_packed(step); }, first_step_,
                                  {.threads = options_.data_threads, .depth = 4});
  const std::vector<at::Tensor> biases = vlm_->balance_biases();
  int64_t step = first_step_;
  while (step < total_steps_ && !stopped_) {
    // Noise is keyed by the step, so that a resumed run draws what the uninterrupted one would have drawn.
    torch::manual_seed(options_.seed * 1'000'000'007ull + static_cast<uint64_t>(step));
    vlm_->train();
    Losses losses = forward_losses(*vlm_, batches.next(), words, *heads_, options_.losses);
    losses.total.backward();
    losses.report.grad_norm = optimizer_->step(step);
    step_balance_biases(biases, losses.report.layers, options_.losses.bias_update_rate);
    ++step;
    sink_.step(step, total_steps_, losses.report);
    stopped_ = stop_();
    if (step % options_.evaluate_every == 0 || step == total_steps_ || stopped_) evaluate_and_publish(step);
  }
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
  Scores scores = score_model(*vlm_, *tokenizer_, options_.evaluation_images);
  const double score = scores.values.at("score");
  sink_.evaluated(step, scores.report, score);
  if (options_.out.empty()) return;
  if (options_.publish == "better" && score < parent_score_) {
    sink_.message(
        concat("step ", step, ": score ", score, " is below the parent's ", parent_score_, ": not published"));
    return;
  }
  int64_t version = 0;
  patiently("looking at the store", [&] { version = next_version(options_.out); });
  CheckpointContent content;
  content.vlm = vlm_.get();
  content.tokenizer_model = tokenizer_model_;
  content.golden_json = make_golden(*vlm_, *tokenizer_, kGoldenImages, kEvaluationSeed + 1);
  content.training_state = {{kStateFile, training_state_bytes(parameters_, *optimizer_, step)},
                            {kRunFile, concat("{\"warm\": ", warm_ ? 1 : 0, "}\n")}};
  content.step = step;
  content.parent = parent_;
  content.scores = scores.values;
  content.expert_histogram = scores.report.expert_histogram;
  content.image_expert_histogram = scores.report.image_expert_histogram;
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
  parent_score_ = score;
  patiently("pruning", [&] { prune_store(options_.out, options_.keep, {}); });
  sink_.published(version, step, score);
}

void check(const TrainOptions& options) {
  auto require = [](bool condition, const std::string& field, const std::string& message) {
    if (!condition) throw invalid_argument(field, field, ": ", message);
  };
  require(options.batch_size >= 1 && options.batch_size <= 4096, "batch-size", "must be 1..4096");
  require(options.questions >= 1 && options.questions <= 64, "questions", "must be 1..64");
  require(options.publish == "better" || options.publish == "all", "publish",
          "must be better or all, got " + options.publish);
  require(options.steps >= 1 || options.epochs >= 1, "steps", "must be at least 1");
  require(options.evaluate_every >= 1, "evaluate-every", "must be at least 1");
  require(options.evaluation_images >= 1, "evaluation-pictures", "must be at least 1");
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

Scores score_model(Vlm& vlm, const Tokenizer& tokenizer, int images) {
  using Kind = EvaluationSet::Kind;
  Scores scores;
  const EvaluationReport paper =
      evaluate(vlm, tokenizer, {.kind = Kind::kPaper, .images = images, .seed = kEvaluationSeed});
  const EvaluationReport varied =
      evaluate(vlm, tokenizer, {.kind = Kind::kVaried, .images = images, .seed = kEvaluationSeed});
  const EvaluationReport refused =
      evaluate(vlm, tokenizer, {.kind = Kind::kNonScene, .images = images, .seed = kEvaluationSeed});
  scores.report = paper;
  scores.values["non_relational"] = paper.non_relational.accuracy();
  scores.values["relational"] = paper.relational.accuracy();
  scores.values["varied"] = varied.all.accuracy();
  scores.values["non_scene_refused"] = refused.all.accuracy();
  scores.values["score"] = (paper.non_relational.accuracy() + paper.relational.accuracy() + varied.all.accuracy()) / 3;
  merge(scores.report, varied);
  return scores;
}

void train(const TrainOptions& options, const TrainSink& sink, const std::function<bool()>& stop) {
  check(options);
  at::set_num_threads(threads_or_default(options.threads));
  Run(options, sink, stop).phase2();
}

}  // namespace sf
