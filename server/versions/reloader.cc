#include "server/versions/reloader.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/base/machine_fault.h"
#include "engine/base/utf8.h"
#include "server/versions/golden_check.h"
#include "server/versions/low_priority.h"
#include "server/versions/version_choice.h"

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

// A message may quote a file's bytes, and every API sends text.
std::string as_text(std::string bytes) { return take_whole_utf8(bytes); }

}  // namespace

Reloader::Reloader(ReloaderOptions options, VersionSource& source, ModelSlot& slot, ServingDeps deps, Log log)
    : options_(std::move(options)),
      source_(source),
      slot_(slot),
      deps_(std::move(deps)),
      log_(std::move(log)),
      pin_file_(options_.pin_path) {}

Reloader::~Reloader() { stop(); }

bool Reloader::poll_once() {
  MutexLock lock(work_);
  if (!look() || is_unloaded() || !pin_is_known_ || deps_.clock->now_s() < retry_at_s_) return false;
  return try_wanted(wanted()) == Outcome::kPublished;
}

// Until one is published, or memory is short: then a lower one is no way out.
Reloader::Outcome Reloader::try_wanted(const std::vector<int64_t>& wanted) {
  for (const int64_t version : wanted) {
    // Taken before the files are read: what replaces them meanwhile is tried at the next poll.
    fingerprint_ = source_.fingerprint(version);
    if (is_quarantined(version) || waits_for_retry(version)) continue;
    bool chosen = false;
    {
      MutexLock lock(mutex_);
      chosen = pinned_ == version;
    }
    const Outcome outcome = try_version(version, chosen);
    if (outcome == Outcome::kPublished || outcome == Outcome::kShortOfMemory) return outcome;
  }
  return Outcome::kRejected;
}

// What is in the source now. False where it cannot be read.
bool Reloader::look() {
  std::vector<int64_t> versions;
  try {
    versions = source_.versions();
  } catch (const std::exception& error) {
    store_is_lost(as_text(error.what()));
    return false;
  }
  had_versions_ = had_versions_ || !versions.empty();
  if (versions.empty() && had_versions_) {
    store_is_lost("store: it held versions and holds none now");  // an unmounted file system looks like this
  } else {
    store_is_there();
  }
  std::map<int64_t, Known> before;
  {
    MutexLock lock(mutex_);
    before = known_;
  }
  std::map<int64_t, Known> known;
  for (const int64_t version : versions) known[version] = know(version, before);
  read_pin();
  MutexLock lock(mutex_);
  std::erase_if(quarantined_, [&](const auto& entry) { return !known.contains(entry.first); });
  std::erase_if(faults_, [&](const auto& entry) { return !known.contains(entry.first); });
  if (!known.contains(short_of_memory_.version)) short_of_memory_ = {};
  known_ = std::move(known);
  return true;
}

Reloader::Known Reloader::know(int64_t version, const std::map<int64_t, Known>& before) {
  const auto old = before.find(version);
  const bool is_new = old == before.end();
  Known now;
  now.fingerprint = source_.fingerprint(version);
  if (now.fingerprint.empty() && !is_new) now.fingerprint = old->second.fingerprint;
  if (!is_new && old->second.fingerprint == now.fingerprint) now.facts = old->second.facts;
  if (!now.facts) now.facts = source_.facts(version);
  now.waiting = source_.waiting(version);
  const bool said = !is_new && old->second.waiting;
  if (now.waiting && !said) log_({version, "waiting", "none", kWaitingForManifest, 0});
  return now;
}

void Reloader::store_is_lost(const std::string& message) {
  deps_.metrics->set_store_up(false);
  if (store_error_.empty()) deps_.metrics->count_reload("failure", kStoreReason);
  if (std::exchange(store_error_, message) != message) log_({0, "failure", kStoreReason, message, 0});
}

void Reloader::store_is_there() {
  deps_.metrics->set_store_up(true);
  if (!std::exchange(store_error_, "").empty()) log_({0, "recovered", kStoreReason, "the store is there again", 0});
}

// Read at every look: servers that share a store share the pin. One that cannot be read leaves what was known.
void Reloader::read_pin() {
  try {
    const std::optional<int64_t> pinned = pin_file_.read();
    pin_error_.clear();
    pin_is_known_ = true;
    MutexLock lock(mutex_);
    pinned_ = pinned;
  } catch (const std::exception& error) {
    if (!is_machine_fault(error)) pin_is_known_ = true;  // there is no version in it
    if (std::exchange(pin_error_, error.what()) != error.what()) log_({0, "failure", "pin", error.what(), 0});
  }
}

std::vector<int64_t> Reloader::wanted() const {
  VersionChoice choice;
  const ServingVersionPtr served = slot_.current();
  choice.served = served ? served->version : 0;
  choice.passed_over = passed_over_;
  MutexLock lock(mutex_);
  choice.pinned = pinned_;
  for (const auto& [version, known] : known_) {
    if (!known.waiting) choice.versions.push_back(version);
  }
  return versions_to_try(choice);
}

Reloader::Outcome Reloader::try_version(int64_t version, bool chosen) {
  began_s_ = deps_.clock->now_s();
  {
    MutexLock lock(mutex_);
    loading_ = version;
    if (short_of_memory_.version == version) short_of_memory_ = {};
  }
  std::string stage = "verify";
  Outcome outcome = Outcome::kRejected;
  try {
    outcome = try_stages(version, chosen, stage);
    if (outcome == Outcome::kPublished)
      report({version, "success", "none", success_note_, deps_.clock->now_s() - began_s_});
  } catch (const std::exception& error) {
    outcome = judge_failure(version, stage, error);
  }
  {
    MutexLock lock(mutex_);
    loading_ = 0;
    if (outcome != Outcome::kMachineFault) faults_.erase(version);
  }
  if (outcome != Outcome::kPublished) serve_again_what_was_freed();
  return outcome;
}

// Whether the version is at fault, or the machine, or neither.
Reloader::Outcome Reloader::judge_failure(int64_t version, const std::string& stage, const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return out_of_memory(version, error.what());
  if (is_machine_fault(error)) return machine_fault(version, error.what());
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    if (own->code() == Code::kNotFound && stage == "verify") return Outcome::kGone;
    if (own->code() == Code::kResourceExhausted && stage != "verify") return out_of_memory(version, error.what());
  }
  return fail(version, stage, error.what());
}

Reloader::Outcome Reloader::try_stages(int64_t version, bool chosen, std::string& stage) {
  std::shared_ptr<const void> hold = source_.hold(version);
  std::unique_ptr<Candidate> candidate;
  std::vector<GoldenImage> golden;
  const auto run_stage = [&](const char* name, const std::function<void()>& work) {
    stage = name;
    StageTimer timer(deps_, stage);
    // While nobody is served nobody can be delayed, and everybody waits.
    if (slot_.current()) {
      run_at_low_priority(kReloadNiceness, slot_, work);
    } else {
      work();
    }
  };
  run_stage("verify", [&] {
    candidate = source_.open(version);
    golden = candidate->golden();
  });
  const EvaluationScore score{candidate->score(), candidate->evaluation_id()};
  success_note_.clear();
  if (const ServingVersionPtr served = slot_.current(); served && !chosen) {
    const EvaluationScore serving{served->score, served->evaluation_id};
    if (refused_by_score(score, serving, options_.max_score_drop)) return refuse(version, *score.value, *serving.value);
    if (score.value && serving.value && !are_comparable(score, serving)) {
      success_note_ = concat("score ", *score.value, " is not compared with the served one's ", *serving.value,
                             ": they are of different evaluations");
    }
  }
  if (options_.mode == ReloadMode::kReplace) free_served();
  std::unique_ptr<Engine> engine;
  run_stage("load", [&] { engine = candidate->load(); });
  candidate.reset();
  run_stage("warmup", [&] { engine->warm_up(); });
  run_stage("canary", [&] { run_golden_check(*engine, golden); });
  stage = "publish";
  // On this thread: the scheduler's inherits its priority.
  StageTimer timer(deps_, stage);
  publish(version, std::move(engine), score, std::move(hold));
  return Outcome::kPublished;
}

void Reloader::publish(int64_t version, std::unique_ptr<Engine> engine, const EvaluationScore& score,
                       std::shared_ptr<const void> hold) {
  const ServingVersionPtr served = slot_.current();
  int64_t before = served ? served->version : freed_version_;
  auto serving = make_serving_version(version, std::move(engine), score.value, std::move(hold), deps_);
  serving->evaluation_id = score.evaluation_id;
  slot_.publish(std::move(serving));
  {
    MutexLock lock(mutex_);
    if (unloaded_) before = *unloaded_;
    unloaded_.reset();
    std::erase_if(faults_, [&](const auto& entry) { return entry.first <= version; });  // not tried again
  }
  memory_backoff_.reset();
  freed_version_ = 0;
  freed_hold_.reset();
  if (before == 0 || before == version) return;
  std::erase(served_before_, version);
  std::erase(served_before_, before);
  served_before_.push_back(before);
}

// Waits for the requests in flight: their deadlines bound it.
void Reloader::free_served() {
  if (const ServingVersionPtr served = slot_.current()) {
    freed_version_ = served->version;
    freed_hold_ = served->hold;  // or the trainer might prune the way back
  }
  slot_.retire();
  slot_.wait_for_live(0);
}

void Reloader::serve_again_what_was_freed() {
  const int64_t version = std::exchange(freed_version_, 0);
  if (version == 0) return;
  const std::shared_ptr<const void> hold = std::move(freed_hold_);
  const ReloadEvent failure = last_event_;
  const double retry_at_s = retry_at_s_;
  const Backoff memory_backoff = memory_backoff_;
  try_version(version, true);
  last_event_ = failure;
  if (slot_.current()) memory_backoff_ = memory_backoff;  // what serves again is not what memory was short for
  retry_at_s_ = std::max(retry_at_s_, retry_at_s);
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
  const ReloadEvent event{version, "failure", reason, as_text(message), deps_.clock->now_s() - began_s_};
  quarantine(event);
  report(event);
  return Outcome::kRejected;
}

Reloader::Outcome Reloader::out_of_memory(int64_t version, const std::string& message) {
  const double now_s = deps_.clock->now_s();
  retry_at_s_ = now_s + memory_backoff_.next_s();
  const ReloadEvent event{version, "failure", "out_of_memory", message, now_s - began_s_};
  {
    MutexLock lock(mutex_);
    short_of_memory_ = event;
  }
  report(event);
  return Outcome::kShortOfMemory;
}

Reloader::Outcome Reloader::machine_fault(int64_t version, const std::string& message) {
  const double now_s = deps_.clock->now_s();
  const ReloadEvent event{version, "failure", kMachineFaultReason, as_text(message), now_s - began_s_};
  {
    MutexLock lock(mutex_);
    const auto [entry, is_first] =
        faults_.try_emplace(version, Fault{Backoff(options_.first_retry_s, options_.last_retry_s)});
    Fault& fault = entry->second;
    fault.retry_at_s = now_s + fault.backoff.next_s();
    fault.fingerprint = fingerprint_;
    fault.event = event;
  }
  report(event);
  return Outcome::kMachineFault;
}

bool Reloader::waits_for_retry(int64_t version) const {
  const double now_s = deps_.clock->now_s();
  MutexLock lock(mutex_);
  const auto found = faults_.find(version);
  if (found == faults_.end() || now_s >= found->second.retry_at_s) return false;
  return fingerprint_.empty() || fingerprint_ == found->second.fingerprint;
}

bool Reloader::is_quarantined(int64_t version) {
  MutexLock lock(mutex_);
  const auto found = quarantined_.find(version);
  if (found == quarantined_.end()) return false;
  if (fingerprint_.empty() || found->second.fingerprint == fingerprint_) return true;
  quarantined_.erase(found);
  return false;
}

void Reloader::quarantine(const ReloadEvent& event) {
  MutexLock lock(mutex_);
  quarantined_.insert_or_assign(event.version, Quarantine{fingerprint_, event});
}

void Reloader::report(const ReloadEvent& event) {
  last_event_ = event;
  deps_.metrics->count_reload(event.result, event.reason);
  log_(event);
}

std::vector<ReloadEvent> Reloader::quarantined() const {
  std::vector<ReloadEvent> events;
  MutexLock lock(mutex_);
  for (const auto& [version, entry] : quarantined_) events.push_back(entry.event);
  return events;
}

std::vector<VersionStatus> Reloader::list() const {
  const ServingVersionPtr served = slot_.current();
  std::map<int64_t, VersionStatus> rows;
  const std::vector<ServingVersionPtr> live = slot_.live();
  MutexLock lock(mutex_);
  for (const auto& [version, known] : known_) {
    rows[version].facts = known.facts.value_or(VersionFacts{});
    if (known.waiting) rows[version].message = kWaitingForManifest;
  }
  for (const auto& [version, entry] : quarantined_) {
    VersionStatus& row = rows[version];
    row.state = VersionState::kQuarantined;
    row.reason = entry.event.reason;
    row.message = entry.event.message;
  }
  if (short_of_memory_.version != 0) {
    rows[short_of_memory_.version].reason = short_of_memory_.reason;
    rows[short_of_memory_.version].message = short_of_memory_.message;
  }
  for (const auto& [version, fault] : faults_) {
    rows[version].reason = fault.event.reason;
    rows[version].message = fault.event.message;
  }
  for (const ServingVersionPtr& version : live) {
    // What is in memory, whatever has become of the files.
    const ModelInfo& info = version->engine->info();
    rows[version->version] = {
        .version = version->version,
        .state = VersionState::kRetired,
        .reason = {},
        .message = {},
        .facts = {info.digest, info.step, info.created_unix, version->score, version->evaluation_id}};
  }
  if (served) rows[served->version].state = VersionState::kServed;
  if (unloaded_) {
    const auto row = rows.find(*unloaded_);
    if (row != rows.end() && row->second.reason.empty()) {
      row->second.reason = kUnloadedReason;
      row->second.message = kUnloaded;
    }
  }
  if (loading_ != 0) rows[loading_].state = VersionState::kLoading;
  std::vector<VersionStatus> list;
  for (auto& [version, row] : rows) {
    row.version = version;
    row.pinned = pinned_ == version;
    list.push_back(std::move(row));
  }
  return list;
}

void Reloader::start() {
  {
    MutexLock lock(mutex_);
    running_ = true;
  }
  thread_ = std::thread([this] { run(); });
}

void Reloader::run() {
  const auto interval = std::chrono::milliseconds(options_.poll_interval_ms);
  auto next = std::chrono::steady_clock::now() + interval;
  while (true) {
    std::packaged_task<void()> command;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && commands_.empty() && changed_.wait_until(mutex_, next)) {
      }
      if (stopped_) return;
      if (!commands_.empty()) {
        command = std::move(commands_.front());
        commands_.pop_front();
      }
    }
    if (command.valid()) {
      MutexLock lock(work_);
      command();
      continue;
    }
    poll_once();
    next = std::chrono::steady_clock::now() + interval;
  }
}

void Reloader::stop() {
  std::deque<std::packaged_task<void()>> left;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    left.swap(commands_);
  }
  changed_.notify_all();
  left.clear();  // what waits for one gets a broken promise
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  running_ = false;
}

}  // namespace sf::server
