// Bounds what waits, by requests and by tokens, and hands jobs from the service's threads to the scheduler's.
//
//   std::optional<Ticket> ticket = queue.reserve(cost_tokens);    // nothing: full. Before any pixel is decoded
//   queue.push(std::make_unique<Job>(..., std::move(*ticket), ...));
//   std::vector<std::unique_ptr<Job>> jobs = queue.take();        // the scheduler
//
// A reservation counts until its ticket goes: when the job starts to run, or when it dies before. A job that runs and
// is preempted holds no ticket, so the limits never touch it again. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/mutex.h"

namespace sf::server {

class Job;
class AdmissionQueue;

// Move-only right to wait. REQUIRES: the queue outlives it.
class Ticket {
 public:
  Ticket(AdmissionQueue* queue, int tokens) : queue_(queue), tokens_(tokens) {}
  Ticket(Ticket&& other) noexcept : queue_(other.queue_), tokens_(other.tokens_) { other.queue_ = nullptr; }
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket();
  int tokens() const { return tokens_; }

 private:
  AdmissionQueue* queue_;
  int tokens_;
};

struct QueueLimits {
  int max_requests = 64;
  int max_tokens = 16384;  // prompt tokens, by the upper bound known before decoding
};

struct QueueLoad {
  int requests = 0;
  int tokens = 0;
};

class AdmissionQueue {
 public:
  explicit AdmissionQueue(QueueLimits limits);
  ~AdmissionQueue();

  // Nothing if a limit would be passed. A request of more tokens than the limit fits an empty queue.
  std::optional<Ticket> reserve(int tokens);
  void push(std::unique_ptr<Job> job);
  QueueLoad load() const;

  // --- the scheduler's thread ---
  std::vector<std::unique_ptr<Job>> take();
  // Blocks until there is a job to take or wake() was called; false once stopped.
  bool wait();
  void wake();
  void stop();
  bool stopped() const;

 private:
  friend class Ticket;
  void give_back(int tokens);

  const QueueLimits limits_;
  mutable Mutex mutex_;
  CondVar changed_;
  QueueLoad load_ SF_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Job>> arrived_ SF_GUARDED_BY(mutex_);
  bool woken_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
};

}  // namespace sf::server
