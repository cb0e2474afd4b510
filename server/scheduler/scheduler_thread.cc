#include "server/scheduler/scheduler_thread.h"

#include <utility>

namespace sf::server {

SchedulerThread::SchedulerThread(std::unique_ptr<Scheduler> scheduler)
    : scheduler_(std::move(scheduler)), thread_([this] {
        while (scheduler_->wait_for_work()) scheduler_->step_once();
        scheduler_->fail_all();
      }) {}

SchedulerThread::~SchedulerThread() {
  scheduler_->stop();
  thread_.join();
}

}  // namespace sf::server
