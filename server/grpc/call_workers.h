// Threads that do what gRPC's own must not: parse, decode, wait for answers.
//
//   CallWorkers workers(128);
//   workers.post([call] { ... });    // runs as soon as one of 128 threads is free; never blocks
//
// Thread-safe. A thread is started when a task finds none that is idle.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace sf::server {

class CallWorkers {
 public:
  using Task = std::function<void()>;

  explicit CallWorkers(int max_threads) : max_threads_(max_threads) {}
  ~CallWorkers();  // runs what was posted, then returns
  CallWorkers(const CallWorkers&) = delete;
  CallWorkers& operator=(const CallWorkers&) = delete;

  // REQUIRES: `task` does not throw.
  void post(Task task);
  // As post, unless `max_waiting` tasks wait already: then nothing happens, and the result is false.
  bool try_post(Task task, size_t max_waiting);

 private:
  void add(Task task) SF_REQUIRES(mutex_);
  void run();

  const int max_threads_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Task> tasks_ SF_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ SF_GUARDED_BY(mutex_);
  size_t num_idle_ SF_GUARDED_BY(mutex_) = 0;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
};

}  // namespace sf::server
