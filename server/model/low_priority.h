// Work that must not take time from serving. A thread's niceness is inherited by the threads that it starts, and cannot
// be taken back without privileges: so the work gets a thread of its own, and whatever is to run at full priority (a
// scheduler) is started elsewhere.
#pragma once

#include <functional>

namespace sf::server {

// Effect: runs `work` on a new thread with nice 10 and waits for its end. What it throws is thrown here.
void run_at_low_priority(const std::function<void()>& work);

}  // namespace sf::server
