#include "server/model/reloader.h"

#include <algorithm>
#include <new>
#include <utility>

namespace sf::server {
namespace {

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

}  // namespace

Reloader::Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, Log log)
    : options_(options), source_(source), slot_(slot), deps_(std::move(deps)), log_(std::move(log)) {}

Reloader::~Reloader() { stop(); }

bool Reloader::poll_once() {
  std::vector<int64_t> versions;
  try {
    versions = source_.versions();
    listing_error_.clear();
  } catch (const std::exception& error) {
    if (std::exchange(listing_error_, error.what()) != error.what()) {
      log_({0, "failure", "verify", error.what(), 0});
    }
    return false;
  }
  forget_missing(versions);
  if (deps_.clock->now_s() < retry_at_s_) return false;
  std::sort(versions.rbegin(), versions.rend());
  const ServingVersionPtr served = slot_.current();
  for (int64_t version : versions) {
    if (served && version <= served->version) break;
    // Taken before the files are read: what replaces them meanwhile is tried at the next poll.
    fingerprint_ = source_.fingerprint(version);
    if (is_quarantined(version)) continue;
    const Outcome outcome = try_version(version);
    if (outcome == Outcome::kPublished || outcome == Outcome::kRetryLater) return outcome == Outcome::kPublished;
  }
  return false;
}

Reloader::Outcome Reloader::try_version(int64_t version) {
  began_s_ = deps_.clock->now_s();
  std::string stage = "verify";
  try {
    const Outcome outcome = try_stages(version, stage);
    if (outcome == Outcome::kPublished) report({version, "success", "none", "", deps_.clock->now_s() - began_s_});
    return outcome;
  } catch (const std::bad_alloc& error) {
    out_of_memory(version, error.what());
    return Outcome::kRetryLater;
  } catch (const Error& error) {
    if (error.code() == Code::kNotFound && stage == "verify") return Outcome::kGone;
    if (error.code() == Code::kResourceExhausted && stage != "verify") {
      out_of_memory(version, error.what());
      return Outcome::kRetryLater;
    }
    return fail(version, stage, error.what());
  } catch (const std::exception& error) {
    return fail(version, stage, error.what());
  }
}

Reloader::Outcome Reloader::try_stages(int64_t version, std::string& stage) {
  std::shared_ptr<const void> hold = source_.hold(version);
  std::unique_ptr<Candidate> candidate;
  {
    StageTimer timer(deps_, stage);
    candidate = source_.open(version);
  }
  const ServingVersionPtr served = slot_.current();
  const std::optional<double> score = candidate->score();
  if (served && served->score && score && *score < *served->score - options_.max_score_drop) {
    return refuse(version, *score, *served->score);
  }
  stage = "load";
  std::unique_ptr<Engine> engine;
  {
    StageTimer timer(deps_, stage);
    engine = candidate->load();
  }
  candidate.reset();
  stage = "warm_up";
  {
    StageTimer timer(deps_, stage);
    engine->warm_up();
  }
  StageTimer timer(deps_, "publish");
  slot_.publish(make_serving_version(version, std::move(engine), score, std::move(hold), deps_));
  retry_delay_s_ = 0;
  return Outcome::kPublished;
}

Reloader::Outcome Reloader::refuse(int64_t version, double score, double served_score) {
  const ReloadEvent event{
      version, "refused", "score",
      concat("score ", score, " is more than ", options_.max_score_drop, " below the served one's ", served_score),
      deps_.clock->now_s() - began_s_};
  quarantine(event);
  report(event);
  return Outcome::kRejected;
}

Reloader::Outcome Reloader::fail(int64_t version, const std::string& reason, const std::string& message) {
  const ReloadEvent event{version, "failure", reason, message, deps_.clock->now_s() - began_s_};
  quarantine(event);
  report(event);
  return Outcome::kRejected;
}

void Reloader::out_of_memory(int64_t version, const std::string& message) {
  retry_delay_s_ = retry_delay_s_ == 0 ? options_.first_retry_s : std::min(2 * retry_delay_s_, options_.last_retry_s);
  const double now_s = deps_.clock->now_s();
  retry_at_s_ = now_s + retry_delay_s_;
  report({version, "failure", "out_of_memory", message, now_s - began_s_});
}

bool Reloader::is_quarantined(int64_t version) {
  MutexLock lock(mutex_);
  const auto found = quarantined_.find(version);
  if (found == quarantined_.end()) return false;
  if (found->second.fingerprint == fingerprint_) return true;
  quarantined_.erase(found);
  return false;
}

void Reloader::quarantine(const ReloadEvent& event) {
  MutexLock lock(mutex_);
  quarantined_.insert_or_assign(event.version, Quarantine{fingerprint_, event});
}

void Reloader::forget_missing(const std::vector<int64_t>& versions) {
  MutexLock lock(mutex_);
  std::erase_if(quarantined_, [&](const auto& entry) {
    return std::find(versions.begin(), versions.end(), entry.first) == versions.end();
  });
}

void Reloader::report(const ReloadEvent& event) {
  deps_.metrics->count_reload(event.result, event.reason);
  log_(event);
}

std::vector<ReloadEvent> Reloader::quarantined() const {
  std::vector<ReloadEvent> events;
  MutexLock lock(mutex_);
  for (const auto& [version, entry] : quarantined_) events.push_back(entry.event);
  return events;
}

void Reloader::start() {
  thread_ = std::thread([this] { run(); });
}

void Reloader::run() {
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.poll_interval_ms);
      while (!stopped_ && changed_.wait_until(mutex_, next)) {
      }
      if (stopped_) return;
    }
    poll_once();
  }
}

void Reloader::stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace sf::server
