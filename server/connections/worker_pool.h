// A bounded number of threads for requests, and a few more that only urgent ones get, so that those are served while
// every other thread is held.
//
//   WorkerPool pool({.num_threads = 128, .num_reserved = 2});
//   pool.submit(job, /*urgent=*/false);
//   pool.shut_down();
//
// Thread-safe; jobs must not throw.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace sf::server {

struct WorkerPoolOptions {
  int num_threads = 8;
  int num_reserved = 2;  // threads beside them, for urgent jobs alone
};

class WorkerPool {
 public:
  using Job = std::function<void()>;

  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool() { shut_down(); }

  void submit(Job job, bool urgent);
  // Jobs, not urgent, that no thread has begun.
  size_t num_waiting() const;
  // Effect: waits for the jobs submitted so far and ends the threads. Idempotent.
  void shut_down();

 private:
  void run(bool reserved);
  bool next_job(bool reserved, Job& job);

  mutable Mutex mutex_;
  CondVar changed_, urgent_changed_;
  std::deque<Job> jobs_ SF_GUARDED_BY(mutex_), urgent_jobs_ SF_GUARDED_BY(mutex_);
  bool closed_ SF_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace sf::server
