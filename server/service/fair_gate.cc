#include "server/service/fair_gate.h"

#include <algorithm>
#include <tuple>

namespace sf::server {
namespace {

constexpr std::chrono::milliseconds kPollInterval(50);

}  // namespace

FairGate::Pass FairGate::enter(const GateWait& wait) { return {this, wait.tenant, wait_for_place(wait)}; }

int FairGate::num_waiting() const {
  MutexLock lock(mutex_);
  return static_cast<int>(line_.size());
}

GateOutcome FairGate::wait_for_place(const GateWait& wait) {
  std::list<Waiter>::iterator self;
  {
    MutexLock lock(mutex_);
    if (turns_away(wait.tenant)) return GateOutcome::kBusy;
    ++tenants_[wait.tenant].waiting;
    self = line_.insert(line_.end(), {&wait.tenant});
    give_places();
  }
  while (!wait_a_while(*self, wait)) {
    if (wait.is_unwanted && wait.is_unwanted()) return leave_line(self, GateOutcome::kUnwanted);
    if (std::chrono::steady_clock::now() >= wait.deadline) return leave_line(self, GateOutcome::kLate);
  }
  return leave_line(self, GateOutcome::kEntered);
}

// Whether it has its place.
bool FairGate::wait_a_while(const Waiter& self, const GateWait& wait) {
  const auto poll = std::chrono::steady_clock::now() + kPollInterval;
  const auto until = wait.is_unwanted ? std::min(wait.deadline, poll) : wait.deadline;
  MutexLock lock(mutex_);
  while (!self.entered) {
    if (!changed_.wait_until(mutex_, until)) break;
  }
  return self.entered;
}

// A place that came at the last moment is taken all the same.
GateOutcome FairGate::leave_line(std::list<Waiter>::iterator self, GateOutcome outcome) {
  MutexLock lock(mutex_);
  const bool entered = self->entered;
  Tenant& tenant = tenants_.at(*self->tenant);
  if (!entered && --tenant.waiting == 0 && tenant.held == 0) tenants_.erase(*self->tenant);
  line_.erase(self);
  return entered ? GateOutcome::kEntered : outcome;
}

bool FairGate::turns_away(const std::string& tenant) const {
  const bool must_wait = free_ == 0;
  if (!must_wait) return false;
  if (static_cast<int>(line_.size()) >= options_.max_waiting) return true;
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end() && found->second.waiting >= options_.max_waiting_each) return true;
  return options_.one_each && (tenant.empty() || found != tenants_.end());
}

void FairGate::give_places() {
  while (free_ > 0) {
    Waiter* next = nullptr;
    std::tuple<int, uint64_t> best;
    for (Waiter& waiter : line_) {
      if (waiter.entered) continue;  // it has not woken yet
      const Tenant& tenant = tenants_.at(*waiter.tenant);
      const std::tuple<int, uint64_t> rank(tenant.held, tenant.last_turn);
      if (next != nullptr && rank >= best) continue;
      next = &waiter;
      best = rank;
    }
    if (next == nullptr) return;
    next->entered = true;
    Tenant& tenant = tenants_.at(*next->tenant);
    --tenant.waiting;
    ++tenant.held;
    tenant.last_turn = ++num_turns_;
    --free_;
    changed_.notify_all();
  }
}

void FairGate::leave(const std::string& name) {
  MutexLock lock(mutex_);
  ++free_;
  Tenant& tenant = tenants_.at(name);
  if (--tenant.held == 0 && tenant.waiting == 0) tenants_.erase(name);
  give_places();
}

}  // namespace sf::server
