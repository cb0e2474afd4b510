#include "server/grpc/open_calls.h"

#include <malloc.h>

#include <iterator>
#include <utility>

namespace sf::server {
namespace {

constexpr std::chrono::seconds kResetWindow{30};
// After a flood: until its calls are gone.
constexpr std::chrono::seconds kSettling{2};

}  // namespace

OpenCalls::OpenCalls(OpenCallBounds bounds, ShutDown shut_down) : bounds_(bounds), shut_down_(std::move(shut_down)) {
  thread_ = std::thread([this] { run(); });
}

OpenCalls::~OpenCalls() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool OpenCalls::add(Call& call, const std::string& peer, Kind kind) {
  MutexLock lock(mutex_);
  if (closed_) return false;
  Counts& counts = counts_of(kind);
  Entry entry{peer, kind, {}, false};
  if (kind == Kind::kHealth) {
    if (counts.all >= bounds_.max_calls) evict_oldest_health_call();
    entry.place = health_calls_.insert(health_calls_.end(), &call);
    entry.has_place = true;
  } else {
    if (counts.all >= bounds_.max_calls) return false;
    const auto of_peer = counts.of_peer.find(peer);
    if (of_peer != counts.of_peer.end() && of_peer->second >= bounds_.max_calls_per_peer) return false;
  }
  ++counts.of_peer[peer];
  ++counts.all;
  calls_.emplace(&call, std::move(entry));
  return true;
}

void OpenCalls::evict_oldest_health_call() {
  if (health_calls_.empty()) return;
  Call* const oldest = health_calls_.front();
  health_calls_.pop_front();
  calls_.at(oldest).has_place = false;
  oldest->evict();
}

void OpenCalls::remove(Call& call) {
  MutexLock lock(mutex_);
  const auto found = calls_.find(&call);
  if (found == calls_.end()) return;
  const Entry& entry = found->second;
  Counts& counts = counts_of(entry.kind);
  --counts.all;
  const auto of_peer = counts.of_peer.find(entry.peer);
  if (--of_peer->second == 0) counts.of_peer.erase(of_peer);
  if (entry.has_place) health_calls_.erase(entry.place);
  calls_.erase(found);
}

bool OpenCalls::reserve_bytes(size_t num_bytes) {
  if ((pending_bytes_ += num_bytes) <= bounds_.max_pending_bytes) return true;
  pending_bytes_ -= num_bytes;
  return false;
}

void OpenCalls::count_reset(const std::string& connection) {
  {
    MutexLock lock(mutex_);
    const TimePoint now = std::chrono::steady_clock::now();
    Resets& resets = resets_.try_emplace(connection, Resets{now, 0}).first->second;
    if (++resets.count != bounds_.max_resets) return;
    to_shut_down_.push_back(connection);
  }
  wake_.notify_all();
}

void OpenCalls::abort_all(const Error& error) {
  MutexLock lock(mutex_);
  closed_ = true;
  for (const auto& [call, entry] : calls_) call->abort(error);
}

void OpenCalls::check_all(TimePoint now) {
  for (const auto& [call, entry] : calls_) call->check(now);
  std::erase_if(resets_, [&](const auto& resets) { return now - resets.second.since > kResetWindow; });
}

void OpenCalls::run() {
  TimePoint trim_at = TimePoint::max();
  while (true) {
    std::vector<std::string> to_shut_down;
    {
      MutexLock lock(mutex_);
      if (to_shut_down_.empty() && !stopped_) {
        wake_.wait_for(mutex_, std::chrono::milliseconds(bounds_.check_interval_ms));
      }
      if (stopped_) return;
      check_all(std::chrono::steady_clock::now());
      to_shut_down = std::exchange(to_shut_down_, {});
    }
    for (const std::string& connection : to_shut_down) shut_down_(connection);
    const TimePoint now = std::chrono::steady_clock::now();
    if (!to_shut_down.empty()) trim_at = now + kSettling;
    if (now < trim_at) continue;
    malloc_trim(0);  // what the flood has used would stay this process's for good
    trim_at = TimePoint::max();
  }
}

}  // namespace sf::server
