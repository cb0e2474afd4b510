// Background work beside serving: loading a version, explaining, freeing memory. It runs at low priority and in the
// gaps between requests. Niceness alone is not enough on few processors: two threads of one core slow each other down
// whatever their niceness, and on a busy server that is felt in the p99 of the time to first token.
//
//   run_at_low_priority(kReloadNiceness, slot, [&] { engine = candidate->load(); });
//
//   BackgroundThrottle throttle(slot);                    // what it does inside, for a thread that is there already
//   YieldScope scope([&] { throttle.wait(); });           // engine/base/yield_to_requests.h
//
// It never waits for ever: a server without gaps still reloads, BackgroundThrottle::kMaxWait later. Thread-safe, but
// for the throttle: one thread only.
#pragma once

#include <chrono>
#include <functional>

#include "server/versions/model_slot.h"

namespace sf::server {

inline constexpr int kReloadNiceness = 10;
inline constexpr int kExplainNiceness = 19;  // the lowest priority there is

// Effect: runs `work` on a new thread of at least this niceness, which yields (yield_to_requests.h) for the requests of
// `slot`, and waits for its end. Blocks. A thread of its own, because niceness cannot be taken back without privileges;
// and the threads that it starts inherit it, so that what is to run at full priority (a scheduler) is started
// elsewhere. Thread-safe. Errors: what `work` throws; Unavailable where no thread can be had.
void run_at_low_priority(int niceness, const ModelSlot& slot, const std::function<void()>& work);

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
