#include "server/scheduler/drain_rate.h"

#include <algorithm>
#include <cmath>

namespace sf::server {
namespace {

constexpr double kWindowS = 10;
constexpr size_t kMaxTimes = 1024;
constexpr int kMaxRetryAfterS = 60;

}  // namespace

void DrainRate::record(double now_s) {
  MutexLock lock(mutex_);
  times_.push_back(now_s);
  if (times_.size() > kMaxTimes) times_.pop_front();
}

double DrainRate::per_second(double now_s) const {
  MutexLock lock(mutex_);
  const auto first = std::lower_bound(times_.begin(), times_.end(), now_s - kWindowS);
  const auto count = times_.end() - first;
  if (count == 0) return 0;
  // A full ring covers less than the window: what it covers is what counts.
  const bool ring_is_full = times_.size() == kMaxTimes && first == times_.begin();
  return static_cast<double>(count) / (ring_is_full ? std::max(now_s - *first, 1e-3) : kWindowS);
}

int DrainRate::seconds_for(int waiting, double now_s) const {
  const double rate = per_second(now_s);
  if (rate <= 0 || waiting <= 0) return 1;
  return static_cast<int>(std::clamp(std::ceil(waiting / rate), 1.0, static_cast<double>(kMaxRetryAfterS)));
}

}  // namespace sf::server
