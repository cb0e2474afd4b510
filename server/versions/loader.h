// Brings one version into the slot: verify -> load -> warm up -> golden check (the stage `canary`) -> publish. What
// fails leaves the old version serving, and stands in the catalog with its reason.
//
//   Loader loader({.mode = ReloadMode::kOverlap}, catalog, source, slot, deps);
//   if (loader.load(7).outcome != LoadOutcome::kPublished) return false;
//
// The stages run on a thread of low priority while another version serves (background_work.h). Each is timed; each
// version that was tried is counted and logged. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/versions/catalog.h"
#include "server/versions/model_slot.h"
#include "server/versions/score_rule.h"

namespace sf::server {

enum class ReloadMode {
  kOverlap,  // the old version serves until the new one does: memory for both
  kReplace,  // the old one is freed before the new one is loaded: memory for one, requests meanwhile get Unavailable
};

struct LoaderOptions {
  double max_score_drop = 0.02;  // a version whose score is lower than the served one's by more is refused
  ReloadMode mode = ReloadMode::kOverlap;
};

enum class LoadOutcome {
  kPublished,
  kRejected,       // quarantined
  kShortOfMemory,  // due again later
  kMachineFault,   // likewise
  kGone,           // from the source, before it was read
};

struct LoadResult {
  LoadOutcome outcome = LoadOutcome::kRejected;
  ReloadEvent event = {};  // with its reason and message; empty for kGone
};

// Which of the outcomes a failure in `stage` is: whether the version is at fault, or the machine, or neither. Pure.
LoadOutcome judge_failure(const std::exception& error, const std::string& stage);

class Loader {
 public:
  // REQUIRES: what the references and `deps` point to outlives this.
  Loader(LoaderOptions options, Catalog& catalog, VersionSource& source, ModelSlot& slot, ServingDeps deps);

  // Effect: tries this version, without regard to its score or an old failure. Blocks until it serves or failed.
  LoadResult load(int64_t version);
  // Effect: tries those that are due, one after the other, until one is published, or memory is short: then a lower one
  // is no way out. kRejected where none was.
  LoadResult load_first_of(const std::vector<int64_t>& versions);

 private:
  struct Trial {
    int64_t version = 0;
    std::string fingerprint = {};  // taken before the files are read: what replaces them meanwhile is tried again
    bool chosen = false;           // by an operator: its score does not count
    std::string stage = {};        // under way
    double began_s = 0;
    std::string note = {};  // what its success is logged with
  };

  LoadResult run(Trial trial);
  // Effect: published. Otherwise why the version was refused for its score. Errors: what a stage throws.
  std::optional<std::string> run_stages(Trial& trial);
  void run_stage(Trial& trial, const char* stage, const std::function<void()>& work);
  std::optional<std::string> refusal_of(Trial& trial, const EvaluationScore& score) const;
  void publish(int64_t version, std::unique_ptr<Engine> engine, const EvaluationScore& score,
               std::shared_ptr<const void> hold);
  LoadResult conclude(const Trial& trial, LoadOutcome outcome, ReloadEvent event);
  void free_served();
  void serve_again_what_was_freed();

  const LoaderOptions options_;
  Catalog& catalog_;
  VersionSource& source_;
  ModelSlot& slot_;
  const ServingDeps deps_;
  int64_t freed_version_ = 0;  // of kReplace: what served before the version being tried
  std::shared_ptr<const void> freed_hold_;
};

}  // namespace sf::server
