// What an operator may ask of the reloader. The work is done by the reloading thread, between two polls.
#include <algorithm>
#include <utility>

#include "server/versions/reloader.h"

namespace sf::server {

void Reloader::run_command(std::function<void()> command) {
  std::packaged_task<void()> task(std::move(command));
  std::future<void> done = task.get_future();
  bool queued = false;
  {
    MutexLock lock(mutex_);
    if (stopped_) throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
    if (running_) {
      commands_.push_back(std::move(task));
      queued = true;
    }
  }
  if (queued) {
    changed_.notify_all();
  } else {
    MutexLock lock(work_);  // the first poll may be under way on another thread
    task();
  }
  try {
    done.get();
  } catch (const std::future_error&) {
    throw Error(Code::kUnavailable, "the server is shutting down", "", Reason::kDraining);
  }
}

// Serves a version that somebody chose: neither its score nor an old quarantine counts.
void Reloader::serve(int64_t version) {
  if (const ServingVersionPtr served = slot_.current(); served && served->version == version) return;
  bool exists = false, waiting = false;
  {
    MutexLock lock(mutex_);
    const auto known = known_.find(version);
    exists = known != known_.end();
    waiting = exists && known->second.waiting;
    quarantined_.erase(version);
  }
  if (!exists) throw Error(Code::kNotFound, concat("version: not in the store, ", version), "version");
  if (waiting)
    throw Error(Code::kFailedPrecondition, concat("version ", version, ": ", kWaitingForManifest), "version");
  fingerprint_ = source_.fingerprint(version);
  switch (try_version(version, true)) {
    case Outcome::kPublished:
      return;
    case Outcome::kGone:
      throw Error(Code::kNotFound, concat("version: gone from the store, ", version), "version");
    case Outcome::kShortOfMemory:
      throw Error(Code::kResourceExhausted, concat("version: memory is short, ", last_event_.message), "version");
    case Outcome::kMachineFault:
      throw Error(Code::kUnavailable, concat("version ", version, ": ", last_event_.message), "version");
    case Outcome::kRejected:
      throw Error(Code::kFailedPrecondition,
                  concat("version ", version, ": ", last_event_.reason, ": ", last_event_.message), "version");
  }
}

void Reloader::load(int64_t version) {
  run_command([this, version] {
    look();
    int64_t highest = 0;
    {
      MutexLock lock(mutex_);
      if (pinned_ && *pinned_ != version) {
        throw Error(Code::kFailedPrecondition, concat("version: another one is pinned, ", *pinned_), "version");
      }
      if (!known_.empty()) highest = known_.rbegin()->first;
    }
    serve(version);
    passed_over_ = highest;
  });
}

// First the file: a pin that cannot be kept must not look like one that can.
void Reloader::serve_pinned(int64_t version) {
  std::optional<int64_t> before;
  {
    MutexLock lock(mutex_);
    before = pinned_;
  }
  pin_file_.write(version);
  try {
    serve(version);
  } catch (...) {
    before ? pin_file_.write(*before) : pin_file_.clear();
    throw;
  }
  MutexLock lock(mutex_);
  pinned_ = version;
}

void Reloader::pin(int64_t version) {
  run_command([this, version] {
    look();
    int64_t chosen = version;
    if (const ServingVersionPtr served = slot_.current(); served && chosen == 0) chosen = served->version;
    if (chosen == 0) throw Error(Code::kFailedPrecondition, "version: none is served", "version");
    serve_pinned(chosen);
  });
}

void Reloader::unpin() {
  run_command([this] {
    pin_file_.clear();
    passed_over_ = 0;
    MutexLock lock(mutex_);
    pinned_.reset();
  });
}

// What serves, or what unload() took away; 0 = neither.
int64_t Reloader::served_last() const {
  if (const ServingVersionPtr served = slot_.current()) return served->version;
  MutexLock lock(mutex_);
  return unloaded_.value_or(0);
}

int64_t Reloader::rollback_target() {
  const int64_t now = served_last();
  MutexLock lock(mutex_);
  for (auto version = served_before_.rbegin(); version != served_before_.rend(); ++version) {
    if (*version != now && known_.contains(*version)) return *version;
  }
  for (auto known = known_.rbegin(); known != known_.rend(); ++known) {
    if (known->first < now && !known->second.waiting && !quarantined_.contains(known->first)) return known->first;
  }
  throw Error(Code::kFailedPrecondition, "rollback: there is no version to go back to", "version");
}

int64_t Reloader::rollback() {
  int64_t target = 0;
  run_command([this, &target] {
    look();
    target = rollback_target();
    const int64_t left = served_last();
    serve_pinned(target);
    std::erase(served_before_, left);  // a second rollback goes further back, not forth
  });
  return target;
}

int64_t Reloader::load_newest() {
  int64_t served = 0;
  run_command([this, &served] { served = serve_newest(); });
  return served;
}

int64_t Reloader::serve_newest() {
  if (!look()) throw Error(Code::kUnavailable, concat("the store cannot be read: ", store_error_));
  {
    MutexLock lock(mutex_);
    for (auto& [version, fault] : faults_) fault.retry_at_s = 0;  // an operator need not wait
  }
  const int64_t passed_over = std::exchange(passed_over_, 0);
  const std::vector<int64_t> newer = wanted();
  const Outcome outcome = try_wanted(newer);
  const ServingVersionPtr served = slot_.current();
  if (outcome == Outcome::kPublished || (newer.empty() && served)) return served->version;
  passed_over_ = passed_over;
  if (outcome == Outcome::kShortOfMemory) {
    throw Error(Code::kResourceExhausted, concat("version: memory is short, ", last_event_.message), "version");
  }
  throw_why_not(newer);
  if (served) return served->version;  // what was newer is gone again
  throw Error(Code::kFailedPrecondition, "there is no version to serve", "version");
}

// The reason of the best of `wanted`, none of which serves; returns where none has one.
void Reloader::throw_why_not(const std::vector<int64_t>& wanted) const {
  MutexLock lock(mutex_);
  for (const int64_t version : wanted) {
    if (const auto fault = faults_.find(version); fault != faults_.end()) {
      throw Error(Code::kUnavailable, concat("version ", version, ": ", fault->second.event.message), "version");
    }
    const auto found = quarantined_.find(version);
    if (found == quarantined_.end()) continue;
    const ReloadEvent& event = found->second.event;
    throw Error(Code::kFailedPrecondition, concat("version ", version, ": ", event.reason, ": ", event.message),
                "version");
  }
  for (const auto& [version, known] : known_) {
    if (!known.waiting) continue;
    throw Error(Code::kFailedPrecondition, concat("version ", version, ": ", kWaitingForManifest), "version");
  }
}

void Reloader::unload() {
  run_command([this] {
    const ServingVersionPtr served = slot_.current();
    {
      MutexLock lock(mutex_);
      if (unloaded_) return;
      unloaded_ = served ? served->version : 0;
    }
    slot_.retire();
    log_({served ? served->version : 0, "unloaded", "none", "", 0});
  });
}

bool Reloader::is_unloaded() const {
  MutexLock lock(mutex_);
  return unloaded_.has_value();
}

}  // namespace sf::server
