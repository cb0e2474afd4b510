// Work in the background gives way to work that somebody waits for: long loops call stand_back() between two pieces of
// a few milliseconds, and whoever runs them in the background says what it does there. As a kernel's cond_resched().
//
//   StandBackScope scope([&] { gap.wait(); });     // this thread's loops wait for a gap between requests
//   model->forward(...);                           // calls stand_back() between its blocks
//
// Without a scope it costs the read of one pointer.
#pragma once

#include <functional>
#include <utility>

namespace sf {

class StandBackScope;
inline thread_local StandBackScope* this_threads_stand_back_scope = nullptr;

// Of the thread that made it, and not of the threads that it starts. Scopes nest: the innermost counts.
class StandBackScope {
 public:
  explicit StandBackScope(std::function<void()> give_way)
      : give_way_(std::move(give_way)), outer_(std::exchange(this_threads_stand_back_scope, this)) {}
  ~StandBackScope() { this_threads_stand_back_scope = outer_; }
  StandBackScope(const StandBackScope&) = delete;
  StandBackScope& operator=(const StandBackScope&) = delete;

  void give_way() const { give_way_(); }

 private:
  const std::function<void()> give_way_;
  StandBackScope* const outer_;
};

// Effect: what the scope says; nothing without one. Errors: what the scope's function throws.
inline void stand_back() {
  if (const StandBackScope* scope = this_threads_stand_back_scope) scope->give_way();
}

}  // namespace sf
