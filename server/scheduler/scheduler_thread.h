// The thread that owns an engine: it steps the scheduler until it is destroyed, and sleeps while there is nothing to
// do.
//
//   SchedulerThread thread(std::make_unique<Scheduler>(deps, options));
//   thread.scheduler().submit(std::move(job));
//
// Thread-safe, as far as the scheduler is.
#pragma once

#include <memory>
#include <thread>

#include "server/scheduler/scheduler.h"

namespace sf::server {

class SchedulerThread {
 public:
  explicit SchedulerThread(std::unique_ptr<Scheduler> scheduler);
  // Effect: finishes the step under way, fails what is left, joins. REQUIRES: not called on this thread.
  ~SchedulerThread();

  Scheduler& scheduler() { return *scheduler_; }
  const Scheduler& scheduler() const { return *scheduler_; }

 private:
  std::unique_ptr<Scheduler> scheduler_;
  std::thread thread_;
};

}  // namespace sf::server
