// Background work waits here while requests are served. On few processors a low priority is not enough:
// two threads of one core slow each other down whatever their niceness, and on a busy server that is felt in the p99 of
// the time to first token. So the work is done in the gaps between requests, as far as there are any.
//
//   BackgroundThrottle throttle(slot);
//   YieldScope scope([&] { throttle.wait(); });   // yield_to_requests.h
//
// It never waits for ever: a server without gaps still reloads, kMaxWait later.
#pragma once

#include <chrono>

#include "server/versions/model_slot.h"

namespace sf::server {

// One thread only. REQUIRES: the slot outlives this.
class BackgroundThrottle {
 public:
  static constexpr std::chrono::milliseconds kMaxWaitAtOnce{250};
  static constexpr std::chrono::seconds kMaxWait{2};  // of all waits together: of a stage of a reload

  explicit BackgroundThrottle(const ModelSlot& slot) : slot_(slot) {}

  // Blocks while the slot has requests, within both limits.
  void wait();

 private:
  using SteadyClock = std::chrono::steady_clock;

  const ModelSlot& slot_;
  SteadyClock::duration waited_{};
};

}  // namespace sf::server
