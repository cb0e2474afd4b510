#include "server/versions/loader.h"

#include <new>
#include <utility>

#include "engine/base/machine_fault.h"
#include "server/versions/background_work.h"
#include "server/versions/golden_check.h"

namespace sf::server {
namespace {

constexpr const char* kVerify = "verify";

// Observes the time of one stage, whether it succeeds or throws.
class StageTimer {
 public:
  StageTimer(const ServingDeps& deps, const std::string& stage)
      : deps_(deps), stage_(stage), begin_s_(deps.clock->now_s()) {}
  ~StageTimer() { deps_.metrics->observe_reload(stage_, deps_.clock->now_s() - begin_s_); }

 private:
  const ServingDeps& deps_;
  const std::string stage_;
  const double begin_s_;
};

ReloadEvent failure(const std::string& reason, const std::exception& error) {
  return {0, "failure", reason, as_text(error.what()), 0};
}

}  // namespace

LoadOutcome judge_failure(const std::exception& error, const std::string& stage) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return LoadOutcome::kShortOfMemory;
  if (is_machine_fault(error)) return LoadOutcome::kMachineFault;
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    if (own->code() == Code::kNotFound && stage == kVerify) return LoadOutcome::kGone;
    if (own->code() == Code::kResourceExhausted && stage != kVerify) return LoadOutcome::kShortOfMemory;
  }
  return LoadOutcome::kRejected;
}

Loader::Loader(LoaderOptions options, Catalog& catalog, VersionSource& source, ModelSlot& slot, ServingDeps deps)
    : options_(options), catalog_(catalog), source_(source), slot_(slot), deps_(std::move(deps)) {}

LoadResult Loader::load(int64_t version) {
  return run({.version = version, .fingerprint = source_.fingerprint(version), .chosen = true});
}

LoadResult Loader::load_first_of(const std::vector<int64_t>& versions) {
  for (const int64_t version : versions) {
    const std::string fingerprint = source_.fingerprint(version);
    if (!catalog_.is_due(version, fingerprint, deps_.clock->now_s())) continue;
    LoadResult result = run({.version = version, .fingerprint = fingerprint, .chosen = catalog_.pinned() == version});
    const bool is_last = result.outcome == LoadOutcome::kPublished || result.outcome == LoadOutcome::kShortOfMemory;
    if (is_last) return result;
  }
  return {};
}

LoadResult Loader::run(Trial trial) {
  trial.began_s = deps_.clock->now_s();
  trial.stage = kVerify;
  catalog_.begin_trial(trial.version);
  LoadResult result;
  try {
    const std::optional<std::string> refusal = run_stages(trial);
    result = refusal ? conclude(trial, LoadOutcome::kRejected, {0, "refused", "score", *refusal, 0})
                     : conclude(trial, LoadOutcome::kPublished, {0, "success", "none", trial.note, 0});
  } catch (const std::exception& error) {
    const LoadOutcome outcome = judge_failure(error, trial.stage);
    const std::string reason = outcome == LoadOutcome::kShortOfMemory  ? kOutOfMemoryReason
                               : outcome == LoadOutcome::kMachineFault ? kMachineFaultReason
                                                                       : trial.stage;
    result = conclude(trial, outcome, failure(reason, error));
  }
  catalog_.end_trial(trial.version, result.outcome == LoadOutcome::kMachineFault);
  if (result.outcome != LoadOutcome::kPublished) serve_again_what_was_freed();
  return result;
}

// What the catalog, the metrics and the log learn of it.
LoadResult Loader::conclude(const Trial& trial, LoadOutcome outcome, ReloadEvent event) {
  if (outcome == LoadOutcome::kGone) return {outcome, {}};
  const double now_s = deps_.clock->now_s();
  event.version = trial.version;
  event.seconds = now_s - trial.began_s;
  switch (outcome) {
    case LoadOutcome::kRejected:
      catalog_.quarantine(event, trial.fingerprint);
      break;
    case LoadOutcome::kShortOfMemory:
      catalog_.delay_for_memory(event, now_s);
      break;
    case LoadOutcome::kMachineFault:
      catalog_.delay_for_machine(event, trial.fingerprint, now_s);
      break;
    case LoadOutcome::kPublished:
    case LoadOutcome::kGone:
      break;
  }
  catalog_.report(event);
  return {outcome, std::move(event)};
}

void Loader::run_stage(Trial& trial, const char* stage, const std::function<void()>& work) {
  trial.stage = stage;
  StageTimer timer(deps_, trial.stage);
  // While nothing is served no request can be delayed, and every client waits.
  if (slot_.current()) {
    run_at_low_priority(kReloadNiceness, slot_, work);
  } else {
    work();
  }
}

std::optional<std::string> Loader::run_stages(Trial& trial) {
  std::shared_ptr<const void> hold = source_.hold(trial.version);
  std::unique_ptr<Candidate> candidate;
  std::vector<GoldenImage> golden;
  run_stage(trial, kVerify, [&] {
    candidate = source_.open(trial.version);
    golden = candidate->golden();
  });
  const EvaluationScore score{candidate->score(), candidate->evaluation_id()};
  if (std::optional<std::string> refusal = refusal_of(trial, score)) return refusal;
  if (options_.mode == ReloadMode::kReplace) free_served();
  std::unique_ptr<Engine> engine;
  run_stage(trial, "load", [&] { engine = candidate->load(); });
  candidate.reset();
  run_stage(trial, "warmup", [&] { engine->warm_up(); });
  run_stage(trial, "canary", [&] { run_golden_check(*engine, golden); });
  trial.stage = "publish";
  // On this thread: the scheduler's inherits its priority.
  StageTimer timer(deps_, trial.stage);
  publish(trial.version, std::move(engine), score, std::move(hold));
  return std::nullopt;
}

std::optional<std::string> Loader::refusal_of(Trial& trial, const EvaluationScore& score) const {
  const ServingVersionPtr served = slot_.current();
  if (!served || trial.chosen || !served->score || !score.value) return std::nullopt;
  const EvaluationScore serving{served->score, served->evaluation_id};
  if (!are_comparable(score, serving)) {
    trial.note = concat("score ", *score.value, " is not compared with the served one's ", *serving.value,
                        ": they are of different evaluations");
  }
  if (!refused_by_score(score, serving, options_.max_score_drop)) return std::nullopt;
  return concat("score ", *score.value, " is more than ", options_.max_score_drop, " below the served one's ",
                *serving.value);
}

void Loader::publish(int64_t version, std::unique_ptr<Engine> engine, const EvaluationScore& score,
                     std::shared_ptr<const void> hold) {
  const int64_t served = slot_.current_version();
  auto serving = make_serving_version(version, std::move(engine), score.value, std::move(hold), deps_);
  serving->evaluation_id = score.evaluation_id;
  slot_.publish(std::move(serving));
  catalog_.published(version, served != 0 ? served : freed_version_);
  freed_version_ = 0;
  freed_hold_.reset();
}

// Waits for the requests in flight: their deadlines bound it.
void Loader::free_served() {
  if (const ServingVersionPtr served = slot_.current()) {
    freed_version_ = served->version;
    freed_hold_ = served->hold;  // or the trainer might prune the way back
  }
  slot_.retire();
  slot_.wait_for_live(0);
}

// Without a fingerprint of its own: where it fails now, although it served a moment ago, the next poll tries it again.
void Loader::serve_again_what_was_freed() {
  const int64_t version = std::exchange(freed_version_, 0);
  if (version == 0) return;
  const std::shared_ptr<const void> hold = std::move(freed_hold_);
  const Catalog::MemoryDelay delay = catalog_.memory_delay();
  run({.version = version, .chosen = true});
  const bool serves_again = slot_.current() != nullptr;  // which is not what memory was short for
  catalog_.restore_memory_delay(delay, serves_again);
}

}  // namespace sf::server
