// A clock that stands still until a test moves it.
#pragma once

#include <atomic>

#include "server/scheduler/clock.h"

namespace sf::server {

// Thread-safe.
class ManualClock final : public Clock {
 public:
  double now_s() const override { return now_s_.load(); }
  double unix_s() const override { return 1.7e9 + now_s_.load(); }
  void advance(double seconds) { now_s_.store(now_s_.load() + seconds); }

 private:
  std::atomic<double> now_s_{100};
};

}  // namespace sf::server
