// Work that must never delay serving: a thread of its own at the lowest scheduling priority.
//
//   run_at_low_priority([&] { explanation = engine.explain(...); });
#pragma once

#include <functional>

namespace sf::server {

// Effect: runs `work` on a new thread (nice 19; threads that it starts inherit that) and waits for its end. Blocks.
// Errors: what `work` throws; Unavailable where no thread can be had.
void run_at_low_priority(const std::function<void()>& work);

}  // namespace sf::server
