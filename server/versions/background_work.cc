#include "server/versions/background_work.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"

namespace sf::server {
namespace {

// Short beside a request, long beside what it costs to look.
constexpr std::chrono::microseconds kLookEvery{200};

}  // namespace

void run_at_low_priority(int niceness, const ModelSlot& slot, const std::function<void()>& work) {
  std::exception_ptr thrown;
  const auto body = [&] {
    // On Linux this means the thread alone. It cannot fail: any thread may lower its priority.
    const auto self = static_cast<id_t>(syscall(SYS_gettid));
    if (getpriority(PRIO_PROCESS, self) < niceness) setpriority(PRIO_PROCESS, self, niceness);
    BackgroundThrottle throttle(slot);
    const YieldScope scope([&] { throttle.wait(); });
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error&) {
    throw Error(Code::kUnavailable, "the server has no thread left for this, try again later");
  }
  if (thrown) std::rethrow_exception(thrown);
}

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
