#include "server/service/in_flight.h"

#include <algorithm>

namespace sf::server {

void InFlight::add() {
  MutexLock lock(mutex_);
  ++count_;
}

void InFlight::remove() {
  {
    MutexLock lock(mutex_);
    --count_;
  }
  none_left_.notify_all();
}

bool InFlight::wait_until_none(double seconds) {
  const auto patience = std::chrono::duration<double>(std::clamp(seconds, 0.0, 86400.0));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(patience);
  MutexLock lock(mutex_);
  while (count_ > 0) {
    if (!none_left_.wait_until(mutex_, deadline) && count_ > 0) return false;
  }
  return true;
}

}  // namespace sf::server
