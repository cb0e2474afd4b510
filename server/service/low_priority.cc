#include "server/service/low_priority.h"

#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <thread>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr int kLowestPriority = 19;

}  // namespace

void run_at_low_priority(const std::function<void()>& work) {
  std::exception_ptr failure;
  const auto body = [&] {
    // On Linux a priority is a thread's own. Raising the nice value is always allowed, so there is nothing to check.
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLowestPriority);
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  };
  try {
    std::thread(body).join();
  } catch (const std::system_error&) {
    throw Error(Code::kUnavailable, "the server has no thread left for this, try again later");
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace sf::server
