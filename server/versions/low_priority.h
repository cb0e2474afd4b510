// Work that must not take time from serving: nice, and in the gaps between requests (background_throttle.h). A thread's
// niceness is inherited by the threads that it starts, and cannot be taken back without privileges: so the work gets a
// thread of its own, and whatever is to run at full priority (a scheduler) is started elsewhere.
//
//   run_at_low_priority(kReloadNiceness, slot, [&] { engine = load(); });
#pragma once

#include <functional>

#include "server/versions/model_slot.h"

namespace sf::server {

inline constexpr int kReloadNiceness = 10;
inline constexpr int kExplainNiceness = 19;  // the lowest priority there is

// Effect: runs `work` on a new thread of at least this niceness, which yields (yield_to_requests.h) for the requests of
// `slot`, and waits for its end. Blocks.
// Errors: what `work` throws; Unavailable where no thread can be had.
void run_at_low_priority(int niceness, const ModelSlot& slot, const std::function<void()>& work);

}  // namespace sf::server
