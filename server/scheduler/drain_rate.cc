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
  // A ring that is full covers less than the window, and so does one whose first request came a moment ago: what is
  // covered is what counts. Less than a second says nothing yet, unless the ring is full.
  const double least_s = times_.size() == kMaxTimes ? 1e-3 : 1.0;
  return static_cast<double>(count) / std::max(now_s - *first, least_s);
}

int DrainRate::seconds_for(int waiting, double now_s) const {
  const double rate = per_second(now_s);
  if (rate <= 0 || waiting <= 0) return 1;
  return static_cast<int>(std::clamp(std::ceil(waiting / rate), 1.0, static_cast<double>(kMaxRetryAfterS)));
}

}  // namespace sf::server
