// Background work yields to requests: long loops call yield_to_requests() between two pieces of a few milliseconds, and
// the thread that runs them in the background sets what that does. As a kernel's cond_resched().
//
//   YieldScope scope([&] { throttle.wait(); });  // this thread's loops wait for a gap between requests
//   yield_to_requests();                         // as a forward pass calls it between its blocks
//
// Without a scope it costs the read of one pointer. One thread only: a scope is its thread's own.
#pragma once

#include <functional>
#include <utility>

namespace sf {

class YieldScope;
inline thread_local YieldScope* this_threads_yield_scope = nullptr;

// Of the thread that made it, and not of the threads that it starts. Scopes nest: the innermost counts.
class YieldScope {
 public:
  explicit YieldScope(std::function<void()> wait)
      : wait_(std::move(wait)), outer_(std::exchange(this_threads_yield_scope, this)) {}
  ~YieldScope() { this_threads_yield_scope = outer_; }
  YieldScope(const YieldScope&) = delete;
  YieldScope& operator=(const YieldScope&) = delete;

  void wait() const { wait_(); }

 private:
  const std::function<void()> wait_;
  YieldScope* const outer_;
};

// Effect: what the scope says; nothing without one. Errors: what the scope's function throws.
inline void yield_to_requests() {
  if (const YieldScope* scope = this_threads_yield_scope) scope->wait();
}

}  // namespace sf
