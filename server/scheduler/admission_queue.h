// Bounds what waits, by requests and by tokens, and hands jobs from the service's threads to the scheduler's.
//
//   std::optional<Ticket> ticket = queue.reserve(prompt_tokens);    // nothing: full. Before any pixel is decoded
//   if (ticket) queue.push(std::make_unique<Job>(std::move(request), *engine, stream, std::move(*ticket), version));
//   std::vector<std::unique_ptr<Job>> jobs = queue.take();          // the scheduler
//
// A reservation counts until its ticket goes: when the job starts to run, or when it dies before. A job that runs and
// is preempted holds no ticket, so the limits never touch it again. Thread-safe.
//
// A tenant (an API key) gets a place only while it holds less than kTenantShare times what is free. So one that floods
// fills 7/8 of the queue and no more, two fill 14/15 together: a request with another key finds a place. Without keys
// there is one tenant, "", which may fill it all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/mutex.h"

namespace sf::server {

class Job;
class AdmissionQueue;

// Move-only right to wait. REQUIRES: the queue outlives it.
class Ticket {
 public:
  Ticket(AdmissionQueue* queue, int tokens, std::string tenant)
      : queue_(queue), tokens_(tokens), tenant_(std::move(tenant)) {}
  Ticket(Ticket&& other) noexcept
      : queue_(std::exchange(other.queue_, nullptr)), tokens_(other.tokens_), tenant_(std::move(other.tenant_)) {}
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket();
  int tokens() const { return tokens_; }

 private:
  AdmissionQueue* queue_;
  int tokens_;
  std::string tenant_;
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

  // Nothing if a limit would be passed, or the tenant's share of it. A request of more tokens than the limit fits an
  // empty queue.
  std::optional<Ticket> reserve(int tokens, const std::string& tenant = "");
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
  void give_back(int tokens, const std::string& tenant);
  bool exceeds_share(const std::string& tenant) const SF_REQUIRES(mutex_);

  const QueueLimits limits_;
  mutable Mutex mutex_;
  CondVar changed_;
  QueueLoad load_ SF_GUARDED_BY(mutex_);
  std::map<std::string, QueueLoad> by_tenant_ SF_GUARDED_BY(mutex_);  // of those that hold tickets; not of ""
  std::vector<std::unique_ptr<Job>> arrived_ SF_GUARDED_BY(mutex_);
  bool woken_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
};

}  // namespace sf::server
