// An engine without a model: it answers from a script, keeps real page accounts, and fails on demand.
//
//   FakeEngine engine({.total_pages = 8});
//   engine.script("q", {"re", "d"});             // question -> its answer's tokens, then a stop token
//   engine.fail_next_step("boom");
//
// A text part costs one token a byte, an image (bytes that begin with "IMG", or a real PNG) four. An unscripted
// question is answered with itself, a byte a token. Layer l, expert (token position + l) % E gets every token: MoE
// counts are exact.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "engine/engine.h"

namespace sf {

struct FakeEngineOptions {
  int total_pages = 4096;
  int page_size = 4;
  int max_context = 512;
  int vocab_size = 0;        // as reported; it has as many tokens as its scripts need
  bool reads_images = true;  // else an image is refused
  int num_layers = 2;
  int num_experts = 4;
  std::string digest = "fake";
  std::string device = "cpu";
  int nonfinite_logits = 0;    // of every step
  double step_seconds = 0;     // a step takes so long: with max_batch this makes an engine of a known speed
  double prepare_seconds = 0;  // and so does the decoding of an image
  bool keep_plans = true;      // for plans(); not in a test that measures memory
};

class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(FakeEngineOptions options = {});

  // --- before or between steps, any thread ---
  void script(const std::string& question, std::vector<std::string> pieces);
  void fail_next_step(const std::string& what);
  // Every step that holds a sequence whose question is this one gives it an error.
  void fail_question(const std::string& question, Error error);
  void fail_admit(const std::string& question);
  // Steps block until released; wait_until_blocked() returns when one does.
  void hold_steps();
  void wait_until_blocked();
  void release_steps();
  // While steps are held, this many more may end.
  void allow_steps(int count);
  // Prompts are prepared one for each that is allowed; until then they wait, asking their check.
  void hold_prepares() { prepares_allowed_ = 0; }
  void allow_prepares(int count) { prepares_allowed_ += count; }
  bool is_preparing() const { return num_preparing_ > 0; }
  // Explanations wait, asking their check, until released.
  void hold_explains() { explains_held_ = true; }
  void release_explains() { explains_held_ = false; }
  int num_explaining() const { return num_explaining_.load(); }
  int num_sequences() const { return num_sequences_.load(); }
  int num_admitted() const { return num_admitted_.load(); }
  int num_steps() const { return num_steps_.load(); }
  int num_prepared() const { return num_prepared_.load(); }
  bool warmed_up() const { return warmed_up_.load(); }
  std::vector<StepPlan> plans() const;  // of every step so far

  // --- Engine ---
  const ModelInfo& info() const override { return info_; }
  PromptCost estimate_cost(const std::vector<Message>& messages) const override;
  PreparedPromptPtr prepare(const std::vector<Message>& messages, const PrepareCheck& check) const override;
  std::unique_ptr<TokenStream> token_stream() const override;
  // Scored one step after the other, all but the last. The scripted answer has three quarters if it is among them, and
  // the others share the rest; else all have the same. A byte is a token, and each has an end token.
  PreparedChoicesPtr prepare_choices(const std::vector<std::string>& texts) const override;
  // The scripted answer over a grid of 2 x 2, all of a token's weight on cell (its index % 4).
  Explanation explain(const PreparedPrompt& prompt, const SamplingParams& sampling, const ExplainOptions& options,
                      const ExplainCheck& check) const override;
  SequenceId admit(PreparedPromptPtr prompt, const SamplingParams& sampling) override;
  RoutingRecord routing_record(SequenceId id) const override;
  void release(SequenceId id) override;
  void preempt(SequenceId id) override;
  int tokens_to_compute(SequenceId id) const override;
  StepResult step(const StepPlan& plan) override;
  CacheUsage cache_usage() const override;
  void warm_up() override { warmed_up_ = true; }

 private:
  struct Sequence {
    std::string question;
    std::vector<int> answer;  // token ids
    int num_tokens = 0;       // prompt and generated so far
    int num_computed = 0;     // of them in the cache
    int num_generated = 0;
    int pages = 0;
    PreparedChoicesPtr choices;
    int num_weighed = 0;
    int top_logprobs = 0;
  };
  void weigh_choices(Sequence& sequence, SequenceStepResult& result) const;

  void wait_until_allowed(const PrepareCheck& check) const;
  void block_if_held();
  SequenceStepResult step_sequence(Sequence& sequence, const StepPlan::Item& item);
  void count_tokens(int first_position, int count, SequenceStepResult& result, MoeStepStats& moe) const;
  std::vector<int> answer_of(const std::string& question) const SF_REQUIRES(mutex_);

  const FakeEngineOptions options_;
  ModelInfo info_;
  std::map<SequenceId, Sequence> sequences_;  // the scheduler's thread
  SequenceId next_id_ = 1;
  int used_pages_ = 0;
  std::atomic<int> num_sequences_{0}, num_admitted_{0}, num_steps_{0};
  mutable std::atomic<int> num_prepared_{0}, num_preparing_{0}, num_explaining_{0};
  mutable std::atomic<int> prepares_allowed_{1 << 30};
  std::atomic<bool> explains_held_{false};
  std::atomic<bool> warmed_up_{false};

  mutable Mutex mutex_;
  CondVar changed_;
  mutable std::map<std::string, int> ids_ SF_GUARDED_BY(mutex_);  // piece -> id
  mutable bool knows_bytes_ SF_GUARDED_BY(mutex_) = false;
  // id -> piece; 0 is the stop token. Streams share it: a new piece makes a new list.
  mutable std::shared_ptr<const std::vector<std::string>> pieces_ SF_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<std::string>> scripts_ SF_GUARDED_BY(mutex_);
  std::map<std::string, Error> errors_ SF_GUARDED_BY(mutex_);
  std::set<std::string> refused_ SF_GUARDED_BY(mutex_);
  std::vector<std::string> step_failures_ SF_GUARDED_BY(mutex_);
  std::vector<StepPlan> plans_ SF_GUARDED_BY(mutex_);
  bool held_ SF_GUARDED_BY(mutex_) = false;
  int allowed_ SF_GUARDED_BY(mutex_) = 0;  // steps that may pass while held
  bool blocked_ SF_GUARDED_BY(mutex_) = false;
};

// One user message: an image, where `image` is not empty, and a question.
std::vector<Message> ask(const std::string& question, const std::string& image = "IMG");

}  // namespace sf
