// Brings the newest valid version into the slot: verify -> load -> warm up -> publish, on a thread of its own. Whatever
// fails leaves the old version serving.
//
//   Reloader reloader(options, source, slot, deps);
//   reloader.poll_once();     // at the start: the first version, and errors while somebody looks
//   reloader.start();         // then every poll_interval_ms
//
// A version that fails is quarantined with its reason until its files change; one that memory did not suffice for is
// tried again, ever less often. One thread only, except quarantined().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/model/model_slot.h"
#include "server/model/version_source.h"

namespace sf::server {

struct ReloaderOptions {
  int poll_interval_ms = 1000;
  double max_score_drop = 0.02;  // a version whose score is lower than the served one's by more is refused
  double first_retry_s = 1;      // after a load that ran out of memory; doubled each time
  double last_retry_s = 60;
};

struct ReloadEvent {
  int64_t version = 0;
  std::string result;   // success, failure, refused
  std::string reason;   // none, verify, load, out_of_memory, warm_up, score
  std::string message;  // names the file or tensor at fault
  double seconds = 0;
};

class Reloader {
 public:
  using Log = std::function<void(const ReloadEvent&)>;

  // REQUIRES: `source` and `slot` outlive this.
  Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, Log log);
  ~Reloader();  // stop()

  // Effect: tries the versions above the served one, newest first, until one is published. True if one was. Never
  // throws.
  bool poll_once();
  void start();
  void stop();  // returns when the poll under way has ended

  // Those that are still in the source, with their last event.
  std::vector<ReloadEvent> quarantined() const;

 private:
  struct Quarantine {
    std::string fingerprint;
    ReloadEvent event;
  };
  enum class Outcome { kPublished, kRejected, kRetryLater, kGone };

  Outcome try_version(int64_t version);
  Outcome try_stages(int64_t version, std::string& stage);
  Outcome refuse(int64_t version, double score, double served_score);
  Outcome fail(int64_t version, const std::string& reason, const std::string& message);
  void out_of_memory(int64_t version, const std::string& message);
  bool is_quarantined(int64_t version);
  void quarantine(const ReloadEvent& event);
  void forget_missing(const std::vector<int64_t>& versions);
  void report(const ReloadEvent& event);
  void run();

  const ReloaderOptions options_;
  VersionSource& source_;
  ModelSlot& slot_;
  const ServingDeps deps_;
  const Log log_;
  double retry_at_s_ = 0;
  double retry_delay_s_ = 0;
  double began_s_ = 0;         // of the version being tried
  std::string fingerprint_;    // of the same
  std::string listing_error_;  // of the last poll, so that it is said once
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<int64_t, Quarantine> quarantined_ SF_GUARDED_BY(mutex_);
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
