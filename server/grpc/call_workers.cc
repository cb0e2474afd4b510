#include "server/grpc/call_workers.h"

#include <utility>

namespace sf::server {

CallWorkers::~CallWorkers() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    threads = std::move(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void CallWorkers::post(Task task) {
  {
    MutexLock lock(mutex_);
    add(std::move(task));
  }
  changed_.notify_one();
}

bool CallWorkers::try_post(Task task, size_t max_waiting) {
  {
    MutexLock lock(mutex_);
    if (tasks_.size() >= max_waiting) return false;
    add(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void CallWorkers::add(Task task) {
  tasks_.push_back(std::move(task));
  // An idle thread stays counted until it has woken: what waits may already be more than they are.
  if (tasks_.size() > num_idle_ && threads_.size() < static_cast<size_t>(max_threads_)) {
    threads_.emplace_back([this] { run(); });
  }
}

void CallWorkers::run() {
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      ++num_idle_;
      while (tasks_.empty() && !stopped_) changed_.wait(mutex_);
      --num_idle_;
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace sf::server
