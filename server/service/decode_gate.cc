#include "server/service/decode_gate.h"

#include <algorithm>

namespace sf::server {

bool DecodeGate::enter(double seconds) {
  const auto patience = std::chrono::duration<double>(std::clamp(seconds, 0.0, 3600.0));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(patience);
  MutexLock lock(mutex_);
  while (free_ == 0) {
    if (!changed_.wait_until(mutex_, deadline) && free_ == 0) return false;
  }
  --free_;
  return true;
}

void DecodeGate::leave() {
  {
    MutexLock lock(mutex_);
    ++free_;
  }
  changed_.notify_one();
}

}  // namespace sf::server
