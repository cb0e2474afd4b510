#include "server/grpc/open_calls.h"

#include <malloc.h>

#include <iterator>
#include <utility>

namespace sf::server {
namespace {

constexpr std::chrono::seconds kResetWindow{30};
// After a flood its calls are gone within seconds.
constexpr std::chrono::seconds kTrimInterval{2};
constexpr int kNumTrims = 6;

}  // namespace

OpenCalls::OpenCalls(OpenCallBounds bounds, EndConnection end_connection)
    : bounds_(bounds), end_connection_(std::move(end_connection)) {
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

void OpenCalls::begin_call(const std::string& connection) {
  MutexLock lock(mutex_);
  Connection& entry = connection_of(connection);
  if (++entry.num_calls > entry.max_calls) end_soon(connection, entry);
}

void OpenCalls::end_call(const std::string& connection) {
  MutexLock lock(mutex_);
  const auto found = connections_.find(connection);
  if (--found->second.num_calls == 0 && found->second.num_resets == 0) connections_.erase(found);
}

void OpenCalls::count_reset(const std::string& connection) {
  MutexLock lock(mutex_);
  Connection& entry = connection_of(connection);
  if (entry.num_resets == 0) entry.first_reset = std::chrono::steady_clock::now();
  if (++entry.num_resets >= bounds_.max_resets) end_soon(connection, entry);
}

OpenCalls::Connection& OpenCalls::connection_of(const std::string& name) {
  return connections_.try_emplace(name, Connection{.max_calls = bounds_.max_calls_per_connection}).first->second;
}

void OpenCalls::end_soon(const std::string& name, Connection& connection) {
  connection.max_calls = connection.num_calls + bounds_.max_calls_per_connection;
  connection.num_resets = 0;
  to_end_.push_back(name);
  wake_.notify_all();
}

void OpenCalls::abort_all(const Error& error) {
  MutexLock lock(mutex_);
  closed_ = true;
  for (const auto& [call, entry] : calls_) call->abort(error);
}

void OpenCalls::check_all(TimePoint now) {
  for (const auto& [call, entry] : calls_) call->check(now);
  for (auto entry = connections_.begin(); entry != connections_.end();) {
    Connection& connection = entry->second;
    if (connection.num_resets > 0 && now - connection.first_reset > kResetWindow) connection.num_resets = 0;
    const bool is_over = connection.num_calls == 0 && connection.num_resets == 0;
    entry = is_over ? connections_.erase(entry) : std::next(entry);
  }
}

void OpenCalls::run() {
  TimePoint trim_at = TimePoint::min();
  int trims_left = 0;
  while (true) {
    std::vector<std::string> to_end;
    {
      MutexLock lock(mutex_);
      if (to_end_.empty() && !stopped_) {
        wake_.wait_for(mutex_, std::chrono::milliseconds(bounds_.check_interval_ms));
      }
      if (stopped_) return;
      check_all(std::chrono::steady_clock::now());
      to_end = std::exchange(to_end_, {});
    }
    for (const std::string& connection : to_end) end_connection_(connection);
    const TimePoint now = std::chrono::steady_clock::now();
    if (!to_end.empty()) trims_left = kNumTrims;
    if (trims_left == 0 || now < trim_at) continue;
    malloc_trim(0);  // what the flood has used would stay this process's for good
    --trims_left;
    trim_at = now + kTrimInterval;
  }
}

}  // namespace sf::server
