#include "server/versions/low_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <thread>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"
#include "server/versions/background_throttle.h"

namespace sf::server {

void run_at_low_priority(int niceness, const ModelSlot& slot, const std::function<void()>& work) {
  std::exception_ptr thrown;
  const auto body = [&] {
    // On Linux this means the thread alone. It cannot fail: less priority is everybody's right.
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

}  // namespace sf::server
