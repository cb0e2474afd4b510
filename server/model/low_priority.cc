#include "server/model/low_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>
#include <thread>

namespace sf::server {
namespace {

constexpr int kNiceness = 10;

}  // namespace

void run_at_low_priority(const std::function<void()>& work) {
  std::exception_ptr thrown;
  std::thread thread([&] {
    // On Linux this means the thread alone. It cannot fail: less priority is everybody's right.
    const auto self = static_cast<id_t>(syscall(SYS_gettid));
    if (getpriority(PRIO_PROCESS, self) < kNiceness) setpriority(PRIO_PROCESS, self, kNiceness);
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace sf::server
