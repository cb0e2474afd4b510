// Keeps the slot up to date on a thread of its own: polls the store (catalog.h), loads what is newer (loader.h), and
// runs an operator's commands (commands.h) between two polls.
//
//   Reloader reloader({.poll_interval_ms = 1000}, source, slot, deps, log);
//   reloader.poll_once();     // at the start: the first version, and its errors in the log before the port is ready
//   reloader.start();         // then every poll_interval_ms
//   reloader.pin(3);          // a command: any thread, returns when it is done
//   reloader.stop();
//
// Thread-safe, but for poll_once(), start() and stop(): one thread only.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/versions/commands.h"

namespace sf::server {

struct ReloaderOptions {
  int poll_interval_ms = 1000;
  double max_score_drop = 0.02;  // as LoaderOptions
  double first_retry_s = 1;      // as CatalogOptions
  double last_retry_s = 60;
  ReloadMode mode = ReloadMode::kOverlap;
  std::filesystem::path pin_path = {};  // empty: nothing can be pinned
};

class Reloader {
 public:
  // REQUIRES: `source`, `slot` and what `deps` points to outlive this.
  Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, ReloadLog log);
  ~Reloader();  // stop()

  // Effect: tries the versions that are due until one is published. True if one was. Never throws.
  bool poll_once();
  void start();
  void stop();  // returns when the poll under way has ended; commands that wait get Unavailable

  // --- those of commands.h: each blocks until the reloading thread has done it. Errors: theirs; Unavailable once
  // stopped. Before start() they run on the caller's thread. ---
  void load(int64_t version);
  void pin(int64_t version);
  void unpin();
  int64_t rollback();
  int64_t load_newest();
  void unload();

  // --- at once, as in catalog.h ---
  bool is_unloaded() const { return catalog_.unloaded().has_value(); }
  std::vector<VersionStatus> list() const;
  std::vector<ReloadEvent> quarantined() const { return catalog_.quarantined(); }

 private:
  using Command = std::packaged_task<void(Commands&)>;

  void run_command(std::function<void(Commands&)> command);
  void run();

  const ReloaderOptions options_;
  ModelSlot& slot_;
  const Clock& clock_;
  Catalog catalog_;

  Mutex work_;  // one poll or command at a time
  Loader loader_ SF_GUARDED_BY(work_);
  Commands commands_ SF_GUARDED_BY(work_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<Command> queue_ SF_GUARDED_BY(mutex_);
  bool running_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
