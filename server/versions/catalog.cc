#include "server/versions/catalog.h"

#include <algorithm>
#include <utility>

#include "engine/base/machine_fault.h"
#include "server/versions/version_choice.h"

namespace sf::server {
namespace {

Error version_error(Code code, const std::string& message) { return Error(code, message, "version"); }

Error waits_for_manifest(int64_t version) {
  return version_error(Code::kFailedPrecondition, concat("version ", version, ": ", kWaitingForManifest));
}

}  // namespace

Catalog::Catalog(CatalogOptions options, VersionSource& source, Metrics& metrics, ReloadLog log)
    : options_(std::move(options)),
      source_(source),
      metrics_(metrics),
      log_(std::move(log)),
      pin_file_(options_.pin_path) {}

bool Catalog::refresh() {
  std::vector<int64_t> versions;
  try {
    versions = source_.versions();
  } catch (const std::exception& error) {
    store_is_lost(as_text(error.what()));
    return false;
  }
  bool had_versions = false;
  std::map<int64_t, Known> before;
  {
    MutexLock lock(mutex_);
    had_versions_ = had_versions_ || !versions.empty();
    had_versions = had_versions_;
    before = known_;
  }
  if (versions.empty() && had_versions) {
    store_is_lost("store: it held versions and holds none now");  // an unmounted file system looks like this
  } else {
    store_is_there();
  }
  std::map<int64_t, Known> known;
  for (const int64_t version : versions) known[version] = read_version(version, before);
  read_pin();
  MutexLock lock(mutex_);
  std::erase_if(quarantined_, [&](const auto& entry) { return !known.contains(entry.first); });
  std::erase_if(faults_, [&](const auto& entry) { return !known.contains(entry.first); });
  if (!known.contains(short_of_memory_.version)) short_of_memory_ = {};
  known_ = std::move(known);
  return true;
}

Catalog::Known Catalog::read_version(int64_t version, const std::map<int64_t, Known>& before) {
  const auto old = before.find(version);
  const bool is_new = old == before.end();
  Known now;
  now.fingerprint = source_.fingerprint(version);
  if (now.fingerprint.empty() && !is_new) now.fingerprint = old->second.fingerprint;
  if (!is_new && old->second.fingerprint == now.fingerprint) now.facts = old->second.facts;
  if (!now.facts) now.facts = source_.facts(version);
  now.waiting = source_.waiting(version);
  const bool was_waiting = !is_new && old->second.waiting;
  if (now.waiting && !was_waiting) log_({version, "waiting", "none", kWaitingForManifest, 0});
  return now;
}

void Catalog::store_is_lost(const std::string& message) {
  metrics_.set_store_up(false);
  std::string before;
  {
    MutexLock lock(mutex_);
    before = std::exchange(store_error_, message);
  }
  if (before.empty()) metrics_.count_reload("failure", kStoreReason);
  if (before != message) log_({0, "failure", kStoreReason, message, 0});
}

void Catalog::store_is_there() {
  metrics_.set_store_up(true);
  std::string before;
  {
    MutexLock lock(mutex_);
    before = std::exchange(store_error_, "");
  }
  if (!before.empty()) log_({0, "recovered", kStoreReason, "the store is there again", 0});
}

std::string Catalog::store_error() const {
  MutexLock lock(mutex_);
  return store_error_;
}

// Read at every refresh: servers that share a store share the pin. One that cannot be read leaves what was known.
void Catalog::read_pin() {
  try {
    const std::optional<int64_t> pinned = pin_file_.read();
    MutexLock lock(mutex_);
    pin_error_.clear();
    pin_is_known_ = true;
    pinned_ = pinned;
  } catch (const std::exception& error) {
    bool is_new = false;
    {
      MutexLock lock(mutex_);
      if (!is_machine_fault(error)) pin_is_known_ = true;  // there is no version in it
      is_new = std::exchange(pin_error_, error.what()) != error.what();
    }
    if (is_new) log_({0, "failure", "pin", error.what(), 0});
  }
}

bool Catalog::is_on_hold(double now_s) const {
  MutexLock lock(mutex_);
  return unloaded_ || !pin_is_known_ || now_s < memory_delay_.retry_at_s;
}

std::vector<int64_t> Catalog::to_try(int64_t served) const {
  VersionChoice choice;
  choice.served = served;
  MutexLock lock(mutex_);
  choice.passed_over = passed_over_;
  choice.pinned = pinned_;
  for (const auto& [version, known] : known_) {
    if (!known.waiting) choice.versions.push_back(version);
  }
  return versions_to_try(choice);
}

bool Catalog::is_due(int64_t version, const std::string& fingerprint, double now_s) {
  MutexLock lock(mutex_);
  return !is_quarantined(version, fingerprint) && !waits_for_retry(version, fingerprint, now_s);
}

bool Catalog::is_quarantined(int64_t version, const std::string& fingerprint) {
  const auto found = quarantined_.find(version);
  if (found == quarantined_.end()) return false;
  if (fingerprint.empty() || found->second.fingerprint == fingerprint) return true;
  quarantined_.erase(found);
  return false;
}

bool Catalog::waits_for_retry(int64_t version, const std::string& fingerprint, double now_s) const {
  const auto found = faults_.find(version);
  if (found == faults_.end() || now_s >= found->second.retry_at_s) return false;
  return fingerprint.empty() || fingerprint == found->second.fingerprint;
}

void Catalog::end_delays() {
  MutexLock lock(mutex_);
  for (auto& [version, fault] : faults_) fault.retry_at_s = 0;
}

int64_t Catalog::pass_over(int64_t version) {
  MutexLock lock(mutex_);
  return std::exchange(passed_over_, version);
}

int64_t Catalog::highest() const {
  MutexLock lock(mutex_);
  return known_.empty() ? 0 : known_.rbegin()->first;
}

void Catalog::report(const ReloadEvent& event) const {
  metrics_.count_reload(event.result, event.reason);
  log_(event);
}

void Catalog::begin_trial(int64_t version) {
  MutexLock lock(mutex_);
  loading_ = version;
  if (short_of_memory_.version == version) short_of_memory_ = {};
}

void Catalog::quarantine(const ReloadEvent& event, const std::string& fingerprint) {
  MutexLock lock(mutex_);
  quarantined_.insert_or_assign(event.version, Quarantine{fingerprint, event});
}

void Catalog::delay_for_memory(const ReloadEvent& event, double now_s) {
  MutexLock lock(mutex_);
  memory_delay_.retry_at_s = now_s + memory_delay_.backoff.next_s();
  short_of_memory_ = event;
}

void Catalog::delay_for_machine(const ReloadEvent& event, const std::string& fingerprint, double now_s) {
  MutexLock lock(mutex_);
  const Fault first{Backoff(options_.first_retry_s, options_.last_retry_s)};
  Fault& fault = faults_.try_emplace(event.version, first).first->second;
  fault.retry_at_s = now_s + fault.backoff.next_s();
  fault.fingerprint = fingerprint;
  fault.event = event;
}

void Catalog::end_trial(int64_t version, bool waits_for_machine) {
  MutexLock lock(mutex_);
  loading_ = 0;
  if (!waits_for_machine) faults_.erase(version);
}

void Catalog::published(int64_t version, int64_t before) {
  MutexLock lock(mutex_);
  if (unloaded_) before = *unloaded_;
  unloaded_.reset();
  std::erase_if(faults_, [&](const auto& entry) { return entry.first <= version; });  // not tried again
  memory_delay_.backoff.reset();
  if (before == 0 || before == version) return;
  std::erase(served_before_, version);
  std::erase(served_before_, before);
  served_before_.push_back(before);
}

Catalog::MemoryDelay Catalog::memory_delay() const {
  MutexLock lock(mutex_);
  return memory_delay_;
}

void Catalog::restore_memory_delay(const MemoryDelay& before, bool keep_backoff) {
  MutexLock lock(mutex_);
  if (keep_backoff) memory_delay_.backoff = before.backoff;
  memory_delay_.retry_at_s = std::max(memory_delay_.retry_at_s, before.retry_at_s);
}

void Catalog::choose(int64_t version) {
  MutexLock lock(mutex_);
  quarantined_.erase(version);
  const auto known = known_.find(version);
  if (known == known_.end()) {
    throw version_error(Code::kNotFound, concat("version: not in the store, ", version));
  }
  if (known->second.waiting) throw waits_for_manifest(version);
}

std::optional<int64_t> Catalog::pinned() const {
  MutexLock lock(mutex_);
  return pinned_;
}

void Catalog::set_pinned(std::optional<int64_t> version) {
  MutexLock lock(mutex_);
  pinned_ = version;
}

bool Catalog::unload(int64_t served) {
  MutexLock lock(mutex_);
  if (unloaded_) return false;
  unloaded_ = served;
  return true;
}

std::optional<int64_t> Catalog::unloaded() const {
  MutexLock lock(mutex_);
  return unloaded_;
}

int64_t Catalog::rollback_target(int64_t served) const {
  RollbackChoice choice;
  choice.served = served;
  {
    MutexLock lock(mutex_);
    choice.served_before = served_before_;
    for (const auto& [version, known] : known_) {
      choice.versions.push_back(version);
      if (!known.waiting && !quarantined_.contains(version)) choice.usable.push_back(version);
    }
  }
  const std::optional<int64_t> target = version_to_go_back_to(choice);
  if (target) return *target;
  throw version_error(Code::kFailedPrecondition, "rollback: there is no version to go back to");
}

void Catalog::forget_served(int64_t version) {
  MutexLock lock(mutex_);
  std::erase(served_before_, version);
}

std::optional<Error> Catalog::why_not(const std::vector<int64_t>& versions) const {
  MutexLock lock(mutex_);
  for (const int64_t version : versions) {
    if (const auto fault = faults_.find(version); fault != faults_.end()) {
      return version_error(Code::kUnavailable, concat("version ", version, ": ", fault->second.event.message));
    }
    const auto found = quarantined_.find(version);
    if (found == quarantined_.end()) continue;
    const ReloadEvent& event = found->second.event;
    return version_error(Code::kFailedPrecondition,
                         concat("version ", version, ": ", event.reason, ": ", event.message));
  }
  for (const auto& [version, known] : known_) {
    if (known.waiting) return waits_for_manifest(version);
  }
  return std::nullopt;
}

std::vector<ReloadEvent> Catalog::quarantined() const {
  std::vector<ReloadEvent> events;
  MutexLock lock(mutex_);
  for (const auto& [version, entry] : quarantined_) events.push_back(entry.event);
  return events;
}

// What the source holds, and what failed of it.
Catalog::Rows Catalog::source_rows() const {
  Rows rows;
  for (const auto& [version, known] : known_) {
    rows[version].facts = known.facts.value_or(VersionFacts{});
    if (known.waiting) rows[version].message = kWaitingForManifest;
  }
  const auto explain = [&](const ReloadEvent& event) -> VersionStatus& {
    VersionStatus& row = rows[event.version];
    row.reason = event.reason;
    row.message = event.message;
    return row;
  };
  for (const auto& [version, entry] : quarantined_) explain(entry.event).state = VersionState::kQuarantined;
  if (short_of_memory_.version != 0) explain(short_of_memory_);
  for (const auto& [version, fault] : faults_) explain(fault.event);
  return rows;
}

std::vector<VersionStatus> Catalog::list(const LoadedVersions& loaded) const {
  MutexLock lock(mutex_);
  Rows rows = source_rows();
  // What is in memory, whatever has become of the files.
  for (const VersionStatus& row : loaded.rows) rows[row.version] = row;
  if (loaded.served != 0) rows[loaded.served].state = VersionState::kServed;
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

}  // namespace sf::server
