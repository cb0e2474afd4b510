// Brings versions into the slot: verify -> load -> warm up -> canary -> publish, on a thread of its own, the work on
// low priority. Whatever fails leaves the old version serving.
//
//   Reloader reloader(options, source, slot, deps, log);
//   reloader.poll_once();     // at the start: the first version, and errors while somebody looks
//   reloader.start();         // then every poll_interval_ms
//   reloader.pin(3);          // an operator's word: any thread, returns when it is done
//
// A version that fails is quarantined with its reason until its files change or an operator asks for it. One that
// memory did not suffice for, or that a fault of the machine kept from being read (engine/base/machine_fault.h), is
// tried again, ever less often. A store that is gone or cannot be read is said once, counted and shown by a gauge until
// it is back; what serves serves on. poll_once(), start() and stop(): one thread only.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/backoff.h"
#include "engine/base/mutex.h"
#include "server/versions/model_slot.h"
#include "server/versions/pin_file.h"
#include "server/versions/score_rule.h"
#include "server/versions/version_source.h"

namespace sf::server {

enum class ReloadMode {
  kOverlap,  // the old version serves until the new one does: memory for both
  kReplace,  // the old one is freed before the new one is loaded: memory for one, requests meanwhile get Unavailable
};

struct ReloaderOptions {
  int poll_interval_ms = 1000;
  double max_score_drop = 0.02;  // a version whose score is lower than the served one's by more is refused
  double first_retry_s = 1;      // after a load that ran out of memory or a fault of the machine; doubled each time
  double last_retry_s = 60;
  ReloadMode mode = ReloadMode::kOverlap;
  std::filesystem::path pin_path = {};  // empty: nothing can be pinned
};

struct ReloadEvent {
  int64_t version = 0;  // 0: the store or the pin, no version
  std::string result;   // success, failure, refused; waiting (once), unloaded and recovered (the store): only logged
  std::string reason;   // none, verify, load, out_of_memory, machine_fault, warmup, canary, score, pin, store
  std::string message;  // names the file, tensor or question at fault
  double seconds = 0;
};

class Reloader {
 public:
  using Log = std::function<void(const ReloadEvent&)>;

  // REQUIRES: `source` and `slot` outlive this.
  Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, Log log);
  ~Reloader();  // stop()

  // Effect: tries the versions that version_choice.h names until one is published. True if one was. Never throws.
  bool poll_once();
  void start();
  void stop();  // returns when the poll under way has ended; commands that wait get Unavailable

  // --- any thread; each blocks until the reloading thread has done it ---
  // Effect: serves this version, without regard to scores, until a newer one is published (pin it to keep it).
  // Errors: NotFound; FailedPrecondition with the reason where it is refused or another one is pinned;
  // ResourceExhausted where memory is short; Unavailable for a fault of the machine.
  void load(int64_t version);
  // Effect: serves this version (0: the one served now) and no other, over restarts too. Errors: those of load() and of
  // PinFile::write; then nothing is changed.
  void pin(int64_t version);
  // Effect: the newest version counts again. Errors: those of PinFile::clear.
  void unpin();
  // Effect: looks at the source and serves what a poll would: the newest version that is not quarantined (the pinned
  // one where one is), whatever load() chose before. Nothing where that one serves already. Returns the version served.
  // Errors: FailedPrecondition with the reason where every newer version is quarantined, or there is none to serve;
  // ResourceExhausted where memory is short; Unavailable where the source cannot be read, or for a fault of the
  // machine. Then nothing is changed.
  int64_t load_newest();
  // Effect: nothing is served, and polls publish nothing, until one of the other commands publishes a version; what
  // runs goes on to its end. A pin stays. Not over restarts. May be said twice.
  void unload();
  // Effect: pins the version served before this one; where this process knows none, the highest below it that is not
  // quarantined. Returns it. Errors: those of pin(); FailedPrecondition where there is none.
  int64_t rollback();

  // --- any thread, at once ---
  // Since unload().
  bool is_unloaded() const;
  // By ascending number.
  std::vector<VersionStatus> list() const;
  // Those that are still in the source, with their last event.
  std::vector<ReloadEvent> quarantined() const;

 private:
  struct Quarantine {
    std::string fingerprint;
    ReloadEvent event;
  };
  struct Known {
    std::string fingerprint;
    std::optional<VersionFacts> facts;
    bool waiting = false;
  };
  // A version that a fault of the machine kept from being tried to its end.
  struct Fault {
    Backoff backoff;
    double retry_at_s = 0;
    std::string fingerprint = {};
    ReloadEvent event = {};
  };
  enum class Outcome { kPublished, kRejected, kShortOfMemory, kMachineFault, kGone };

  void run_command(std::function<void()> command);
  void serve(int64_t version);
  void serve_pinned(int64_t version);
  int64_t served_last() const;
  int64_t rollback_target();
  int64_t serve_newest();
  void throw_why_not(const std::vector<int64_t>& wanted) const;

  bool look();
  Known know(int64_t version, const std::map<int64_t, Known>& before);
  void store_is_lost(const std::string& message);
  void store_is_there();
  void read_pin();
  std::vector<int64_t> wanted() const;
  Outcome try_wanted(const std::vector<int64_t>& wanted);
  Outcome try_version(int64_t version, bool chosen);
  Outcome try_stages(int64_t version, bool chosen, std::string& stage);
  void free_served();
  void serve_again_what_was_freed();
  void publish(int64_t version, std::unique_ptr<Engine> engine, const EvaluationScore& score,
               std::shared_ptr<const void> hold);
  Outcome refuse(int64_t version, double score, double served_score);
  Outcome fail(int64_t version, const std::string& reason, const std::string& message);
  Outcome out_of_memory(int64_t version, const std::string& message);
  Outcome machine_fault(int64_t version, const std::string& message);
  Outcome judge_failure(int64_t version, const std::string& stage, const std::exception& error);
  bool is_quarantined(int64_t version);
  bool waits_for_retry(int64_t version) const;
  void quarantine(const ReloadEvent& event);
  void report(const ReloadEvent& event);
  void run();

  const ReloaderOptions options_;
  VersionSource& source_;
  ModelSlot& slot_;
  const ServingDeps deps_;
  const Log log_;
  const PinFile pin_file_;

  // --- the reloading thread; before start() any, one at a time ---
  Mutex work_;
  double retry_at_s_ = 0;  // of a load that ran out of memory
  Backoff memory_backoff_{options_.first_retry_s, options_.last_retry_s};
  double began_s_ = 0;         // of the version being tried
  std::string fingerprint_;    // of the same
  std::string store_error_;    // of the last poll, so that it is said once; empty = the store is there
  bool had_versions_ = false;  // the store, at some poll
  std::string pin_error_;
  bool pin_is_known_ = false;           // the pin file could be read once: until then it may forbid any version
  int64_t passed_over_ = 0;             // the highest version when an operator chose by hand
  std::vector<int64_t> served_before_;  // oldest first
  ReloadEvent last_event_;
  std::string success_note_;   // message of the version being tried, should it be published
  int64_t freed_version_ = 0;  // of kReplace: what served before the version being tried
  std::shared_ptr<const void> freed_hold_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<int64_t, Known> known_ SF_GUARDED_BY(mutex_);  // of the last listing
  std::map<int64_t, Quarantine> quarantined_ SF_GUARDED_BY(mutex_);
  ReloadEvent short_of_memory_ SF_GUARDED_BY(mutex_);  // the version that waits for a retry; 0 = none
  std::map<int64_t, Fault> faults_ SF_GUARDED_BY(mutex_);
  std::optional<int64_t> pinned_ SF_GUARDED_BY(mutex_);
  std::optional<int64_t> unloaded_ SF_GUARDED_BY(mutex_);  // what unload() took away; 0 = nothing was served then
  int64_t loading_ SF_GUARDED_BY(mutex_) = 0;              // 0 = none
  std::deque<std::packaged_task<void()>> commands_ SF_GUARDED_BY(mutex_);
  bool running_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
