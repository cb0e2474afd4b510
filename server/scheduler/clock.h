// Time, passed in so that tests own it (tests/support/manual_clock.h).
//
//   const double begin_s = clock.now_s();
//   const double elapsed_s = clock.now_s() - begin_s;
//
// Thread-safe.
#pragma once

#include <chrono>

namespace sf::server {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Seconds on a clock that never goes back; the origin means nothing.
  virtual double now_s() const = 0;
  // Seconds since 1970.
  virtual double unix_s() const = 0;
};

class SystemClock final : public Clock {
 public:
  double now_s() const override { return seconds(std::chrono::steady_clock::now().time_since_epoch()); }
  double unix_s() const override { return seconds(std::chrono::system_clock::now().time_since_epoch()); }

 private:
  static double seconds(std::chrono::nanoseconds since) { return std::chrono::duration<double>(since).count(); }
};

}  // namespace sf::server
