// How fast the queue moves, measured: what Retry-After is made of. Shared by the schedulers of all versions, so that a
// new version starts with what the old one knew.
//
//   drain_rate.record(clock.now_s());                                  // a request left the queue
//   const int retry_after_s = drain_rate.seconds_for(12, clock.now_s());
//
// Thread-safe.
#pragma once

#include <deque>

#include "engine/base/mutex.h"

namespace sf::server {

class DrainRate {
 public:
  void record(double now_s);
  // Requests per second since the first of those that left the queue in the last 10 s; 0 where none did.
  double per_second(double now_s) const;
  // Whole seconds until `waiting` requests are gone, in 1..60; 1 where nothing was measured.
  int seconds_for(int waiting, double now_s) const;

 private:
  mutable Mutex mutex_;
  std::deque<double> times_ SF_GUARDED_BY(mutex_);  // at most 1024
};

}  // namespace sf::server
