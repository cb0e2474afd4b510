#include "server/connections/worker_pool.h"

#include <utility>

namespace sf::server {

WorkerPool::WorkerPool(WorkerPoolOptions options) {
  threads_.reserve(static_cast<size_t>(options.num_threads + options.num_reserved));
  for (int i = 0; i < options.num_threads + options.num_reserved; ++i) {
    threads_.emplace_back([this, reserved = i < options.num_reserved] { run(reserved); });
  }
}

void WorkerPool::submit(Job job, bool urgent) {
  {
    MutexLock lock(mutex_);
    (urgent ? urgent_jobs_ : jobs_).push_back(std::move(job));
  }
  changed_.notify_one();
  if (urgent) urgent_changed_.notify_one();
}

size_t WorkerPool::num_waiting() const {
  MutexLock lock(mutex_);
  return jobs_.size();
}

void WorkerPool::shut_down() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  urgent_changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

bool WorkerPool::next_job(bool reserved, Job& job) {
  MutexLock lock(mutex_);
  while (urgent_jobs_.empty() && (reserved || jobs_.empty())) {
    if (closed_) return false;
    (reserved ? urgent_changed_ : changed_).wait(mutex_);
  }
  std::deque<Job>& queue = urgent_jobs_.empty() ? jobs_ : urgent_jobs_;
  job = std::move(queue.front());
  queue.pop_front();
  return true;
}

void WorkerPool::run(bool reserved) {
  Job job;
  while (next_job(reserved, job)) {
    job();
    job = nullptr;
  }
}

}  // namespace sf::server
