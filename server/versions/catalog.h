// What is in the store: which versions there are, their states and reasons, what is quarantined or waits for a retry,
// what an operator pinned or unloaded, and with all of it which version is tried next (version_choice.h).
//
//   Catalog catalog({.pin_path = store / ".pinned"}, source, metrics, log);
//   if (catalog.refresh() && !catalog.is_on_hold(clock.now_s())) {
//     loader.load_first_of(catalog.to_try(slot.current_version()));
//   }
//   for (const VersionStatus& row : catalog.list({.served = 7})) use(row.version, row.reason);
//
// It loads nothing and holds no engine. A version that failed is quarantined with its reason until its files change or
// an operator asks for it; one that memory did not suffice for, or that a fault of the machine
// (engine/base/machine_fault.h) kept from being read, is due again after a delay that grows. A store that is gone or
// cannot be read is logged once, counted, and shown by a gauge until it is back.
// Thread-safe, but for refresh(): one thread at a time, as the source wants.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/backoff.h"
#include "engine/base/mutex.h"
#include "server/metrics/metrics.h"
#include "server/versions/pin_file.h"
#include "server/versions/version_source.h"

namespace sf::server {

struct CatalogOptions {
  std::filesystem::path pin_path = {};  // empty: nothing can be pinned
  double first_retry_s = 1;             // after memory was short or a fault of the machine; doubled each time
  double last_retry_s = 60;
};

// The versions in memory, as they stand in the list.
struct LoadedVersions {
  int64_t served = 0;                    // 0 = none
  std::vector<VersionStatus> rows = {};  // the served one and those that finish their requests
};

class Catalog {
 public:
  // REQUIRES: `source` and `metrics` outlive this.
  Catalog(CatalogOptions options, VersionSource& source, Metrics& metrics, ReloadLog log);

  // Effect: lists the source and reads the pin file. False where the source cannot be read; then what was known stays.
  bool refresh();
  std::string store_error() const;  // of the last refresh; empty while the store is there

  // --- which is tried next ---
  // Whether nothing is to be tried now: unloaded, short of memory a moment ago, or the pin file could not be read yet,
  // which may forbid any version.
  bool is_on_hold(double now_s) const;
  std::vector<int64_t> to_try(int64_t served) const;
  // Whether the version may be tried now. `fingerprint`: of its files now; empty where it cannot be taken. Effect:
  // files that changed end a quarantine.
  bool is_due(int64_t version, const std::string& fingerprint, double now_s);
  // Effect: what waits after a fault of the machine is due at once.
  void end_delays();
  // Effect: polls do not try versions up to this one while one is served. Returns what it was before.
  int64_t pass_over(int64_t version);
  int64_t highest() const;  // in the source; 0 = none

  // --- what became of trying one ---
  void report(const ReloadEvent& event) const;  // counted and logged
  void log(const ReloadEvent& event) const { log_(event); }
  void begin_trial(int64_t version);  // its state is kLoading until end_trial
  void quarantine(const ReloadEvent& event, const std::string& fingerprint);
  void delay_for_memory(const ReloadEvent& event, double now_s);                                   // all versions
  void delay_for_machine(const ReloadEvent& event, const std::string& fingerprint, double now_s);  // this one
  void end_trial(int64_t version, bool waits_for_machine);
  // `before`: what served until now; 0 = none.
  void published(int64_t version, int64_t before);

  // The delay after memory was short, kept over the load of another version, which is no proof that it suffices.
  struct MemoryDelay {
    Backoff backoff;
    double retry_at_s = 0;
  };
  MemoryDelay memory_delay() const;
  // Effect: the later retry of both holds; `keep_backoff`: the next delay is as long as it would have been.
  void restore_memory_delay(const MemoryDelay& before, bool keep_backoff);

  // --- what an operator chose ---
  // Effect: an old quarantine counts no more. Errors: NotFound where the source has no such version;
  // FailedPrecondition while it has no manifest.
  void choose(int64_t version);
  std::optional<int64_t> pinned() const;
  void set_pinned(std::optional<int64_t> version);
  // `served`: what was taken away; 0 = nothing. False, and no effect, if it was unloaded before.
  bool unload(int64_t served);
  // What unload() took away, until the next publication: 0 = nothing was served.
  std::optional<int64_t> unloaded() const;
  // Errors: FailedPrecondition where there is none.
  int64_t rollback_target(int64_t served) const;
  void forget_served(int64_t version);  // a rollback does not go back to it
  // Why none of `versions`, best first, serves; nothing where none has a reason.
  std::optional<Error> why_not(const std::vector<int64_t>& versions) const;

  // By ascending number: what is in the source, and what is in memory.
  std::vector<VersionStatus> list(const LoadedVersions& loaded) const;
  // Those that are still in the source, with their last event.
  std::vector<ReloadEvent> quarantined() const;

 private:
  struct Known {
    std::string fingerprint;
    std::optional<VersionFacts> facts;
    bool waiting = false;  // for its manifest
  };
  struct Quarantine {
    std::string fingerprint;
    ReloadEvent event;
  };
  // A version that a fault of the machine kept from being tried to its end.
  struct Fault {
    Backoff backoff;
    double retry_at_s = 0;
    std::string fingerprint = {};
    ReloadEvent event = {};
  };
  using Rows = std::map<int64_t, VersionStatus>;

  Known read_version(int64_t version, const std::map<int64_t, Known>& before);
  void store_is_lost(const std::string& message);
  void store_is_there();
  void read_pin();
  bool is_quarantined(int64_t version, const std::string& fingerprint) SF_REQUIRES(mutex_);
  bool waits_for_retry(int64_t version, const std::string& fingerprint, double now_s) const SF_REQUIRES(mutex_);
  Rows source_rows() const SF_REQUIRES(mutex_);

  const CatalogOptions options_;
  VersionSource& source_;
  Metrics& metrics_;
  const ReloadLog log_;
  const PinFile pin_file_;

  mutable Mutex mutex_;
  std::map<int64_t, Known> known_ SF_GUARDED_BY(mutex_);  // of the last listing
  bool had_versions_ SF_GUARDED_BY(mutex_) = false;       // the source, at some refresh
  std::string store_error_ SF_GUARDED_BY(mutex_);         // kept, so that it is logged once
  std::string pin_error_ SF_GUARDED_BY(mutex_);           // likewise
  bool pin_is_known_ SF_GUARDED_BY(mutex_) = false;       // the pin file could be read once
  std::optional<int64_t> pinned_ SF_GUARDED_BY(mutex_);
  std::optional<int64_t> unloaded_ SF_GUARDED_BY(mutex_);  // what unload() took away; 0 = nothing was served then
  int64_t passed_over_ SF_GUARDED_BY(mutex_) = 0;
  std::vector<int64_t> served_before_ SF_GUARDED_BY(mutex_);  // oldest first
  int64_t loading_ SF_GUARDED_BY(mutex_) = 0;                 // 0 = none
  std::map<int64_t, Quarantine> quarantined_ SF_GUARDED_BY(mutex_);
  std::map<int64_t, Fault> faults_ SF_GUARDED_BY(mutex_);
  ReloadEvent short_of_memory_ SF_GUARDED_BY(mutex_);  // the version that waits for a retry; 0 = none
  MemoryDelay memory_delay_ SF_GUARDED_BY(mutex_){Backoff(options_.first_retry_s, options_.last_retry_s)};
};

}  // namespace sf::server
