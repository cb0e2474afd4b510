#include "server/versions/background_throttle.h"

#include <algorithm>
#include <thread>

namespace sf::server {
namespace {

// Short beside a request, long beside what it costs to look.
constexpr std::chrono::microseconds kLookEvery{200};

}  // namespace

void BackgroundThrottle::wait() {
  const SteadyClock::time_point begin = SteadyClock::now();
  const SteadyClock::duration allowed = std::min<SteadyClock::duration>(kMaxWaitAtOnce, kMaxWait - waited_);
  SteadyClock::time_point now = begin;
  while (now - begin < allowed && slot_.has_requests()) {
    std::this_thread::sleep_for(kLookEvery);
    now = SteadyClock::now();
  }
  waited_ += now - begin;
}

}  // namespace sf::server
