#include "server/scheduler/admission_queue.h"

#include <utility>

#include "server/scheduler/job.h"

namespace sf::server {
namespace {

constexpr int64_t kTenantShare = 7;  // times what is free

}  // namespace

Ticket::~Ticket() {
  if (queue_ != nullptr) queue_->give_back(tokens_, tenant_);
}

AdmissionQueue::AdmissionQueue(QueueLimits limits) : limits_(limits) {}
AdmissionQueue::~AdmissionQueue() = default;

std::optional<Ticket> AdmissionQueue::reserve(int tokens, const std::string& tenant) {
  MutexLock lock(mutex_);
  const bool too_many_tokens = load_.requests > 0 && load_.tokens + int64_t{tokens} > limits_.max_tokens;
  if (load_.requests >= limits_.max_requests || too_many_tokens || exceeds_share(tenant)) return std::nullopt;
  ++load_.requests;
  load_.tokens += tokens;
  if (!tenant.empty()) {
    QueueLoad& own = by_tenant_[tenant];
    ++own.requests;
    own.tokens += tokens;
  }
  return Ticket(this, tokens, tenant);
}

bool AdmissionQueue::exceeds_share(const std::string& tenant) const {
  const auto own = by_tenant_.find(tenant);
  if (own == by_tenant_.end()) return false;
  return own->second.requests >= kTenantShare * (limits_.max_requests - load_.requests) ||
         own->second.tokens >= kTenantShare * (int64_t{limits_.max_tokens} - load_.tokens);
}

void AdmissionQueue::give_back(int tokens, const std::string& tenant) {
  MutexLock lock(mutex_);
  --load_.requests;
  load_.tokens -= tokens;
  const auto own = by_tenant_.find(tenant);
  if (own == by_tenant_.end()) return;
  own->second.tokens -= tokens;
  if (--own->second.requests == 0) by_tenant_.erase(own);
}

void AdmissionQueue::push(std::unique_ptr<Job> job) {
  {
    MutexLock lock(mutex_);
    arrived_.push_back(std::move(job));
  }
  changed_.notify_one();
}

QueueLoad AdmissionQueue::load() const {
  MutexLock lock(mutex_);
  return load_;
}

std::vector<std::unique_ptr<Job>> AdmissionQueue::take() {
  MutexLock lock(mutex_);
  return std::exchange(arrived_, {});
}

bool AdmissionQueue::wait() {
  MutexLock lock(mutex_);
  while (arrived_.empty() && !woken_ && !stopped_) changed_.wait(mutex_);
  woken_ = false;
  return !stopped_;
}

void AdmissionQueue::wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void AdmissionQueue::stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
}

bool AdmissionQueue::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

}  // namespace sf::server
