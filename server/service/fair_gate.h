// So many requests at once may do what costs much (decode images, explain, fetch); the others wait in line on their own
// threads. Between tenants (API keys) the places go round robin: the next place is for the tenant that holds the
// fewest, of equal ones for that whose last turn is longest ago; within a tenant, in the order of arrival. So one that
// floods waits for itself, and another's request waits for what is under way and no more. Without keys all are one
// tenant, "".
//
//   FairGate gate({.places = 2});
//   const FairGate::Pass pass = gate.enter({.tenant = "a", .deadline = deadline, .is_unwanted = client_left});
//   if (pass.outcome() != GateOutcome::kEntered) throw Error(Code::kDeadlineExceeded, "too late");
//   decode();                                          // the place is held as long as `pass` lives
//
// Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "engine/base/mutex.h"

namespace sf::server {

enum class GateOutcome {
  kEntered,
  kBusy,      // no place, and the wait's rule is not to stand in line
  kLate,      // the deadline came first
  kUnwanted,  // the client left while it waited
};

struct GateOptions {
  int places = 1;
  int max_waiting = 1 << 20;       // in line; one more is turned away as kBusy
  int max_waiting_each = 1 << 20;  // of one tenant
  // A tenant that holds a place or waits is turned away as kBusy, and "" always where no place is free: for places
  // that are held long, where others of the same tenant had better come back later.
  bool one_each = false;
};

struct GateWait {
  std::string tenant;
  std::chrono::steady_clock::time_point deadline;
  std::function<bool()> is_unwanted;  // asked every 50 ms on the waiting thread; null = never
};

class FairGate {
 public:
  class Pass {
   public:
    Pass(FairGate* gate, std::string tenant, GateOutcome outcome)
        : gate_(gate), tenant_(std::move(tenant)), outcome_(outcome) {}
    Pass(Pass&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)), tenant_(std::move(other.tenant_)), outcome_(other.outcome_) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr && outcome_ == GateOutcome::kEntered) gate_->leave(tenant_);
    }
    GateOutcome outcome() const { return outcome_; }

   private:
    FairGate* gate_;
    std::string tenant_;
    GateOutcome outcome_;
  };

  explicit FairGate(const GateOptions& options) : options_(options), free_(options.places) {}

  // Blocks until there is a place or the wait ends. A deadline in the past still takes a place that is free now.
  // REQUIRES: the gate outlives the pass.
  Pass enter(const GateWait& wait);
  int num_waiting() const;

 private:
  struct Tenant {
    int held = 0;
    int waiting = 0;
    uint64_t last_turn = 0;  // 0 = none yet
  };
  struct Waiter {
    const std::string* tenant;
    bool entered = false;
  };

  GateOutcome wait_for_place(const GateWait& wait);
  bool wait_a_while(const Waiter& self, const GateWait& wait);
  GateOutcome leave_line(std::list<Waiter>::iterator self, GateOutcome outcome);
  bool turns_away(const std::string& tenant) const SF_REQUIRES(mutex_);
  // Effect: gives the free places to those whose turn it is.
  void give_places() SF_REQUIRES(mutex_);
  void leave(const std::string& name);

  const GateOptions options_;
  mutable Mutex mutex_;
  CondVar changed_;
  int free_ SF_GUARDED_BY(mutex_);
  uint64_t num_turns_ SF_GUARDED_BY(mutex_) = 0;
  std::list<Waiter> line_ SF_GUARDED_BY(mutex_);                 // in the order of arrival
  std::map<std::string, Tenant> tenants_ SF_GUARDED_BY(mutex_);  // those that hold a place or wait
};

}  // namespace sf::server
