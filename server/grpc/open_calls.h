// The calls that are open: how many there may be, from one peer and in all, how many bytes may wait for clients that do
// not read, how often a connection may reset what it has just opened (rapid reset, CVE-2023-44487), and the thread that
// looks after their deadlines.
//
//   OpenCalls calls({.max_calls = 4096}, [&](const std::string& name) { end_connection(name, port); });
//   calls.begin_call("ipv4:10.0.0.7:4321");
//   if (!calls.add(*call, "10.0.0.7", OpenCalls::Kind::kOther)) refuse();
//   calls.remove(*call);
//   calls.end_call("ipv4:10.0.0.7:4321");
//
// Two counts find a rapid reset. While a connection's bytes keep coming, gRPC calls us back for none of its calls: no
// reset is heard of, and every call stays (some 20 KB each), so the sign is that a connection has far more of them than
// HTTP/2 allows it to have streams. One that takes its time is found by its resets.
//
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/mutex.h"

namespace sf::server {

struct OpenCallBounds {
  int max_calls = 4096;
  int max_calls_per_peer = 2048;
  size_t max_pending_bytes = 256u << 20;  // of answers that wait for their clients
  int max_calls_per_connection = 1000;    // also those refused: a client that keeps to its streams has far fewer
  int max_resets = 1000;                  // of one connection in 30 seconds, each soon after its call was opened
  int check_interval_ms = 100;            // how late a deadline may be noticed
};

class OpenCalls {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Questions after the server's health are counted apart, and never refused: each is answered at once, so where there
  // are too many the oldest one's client does not read, and it is cut off.
  enum class Kind { kHealth, kOther };

  class Call {
   public:
    virtual ~Call() = default;
    // Effect: ends the call if one of its deadlines has passed. Must not call back into OpenCalls::add or remove.
    virtual void check(TimePoint now) = 0;
    // Effect: the call ends with `error`. As check.
    virtual void abort(const Error& error) = 0;
    // Effect: it ends, whatever waits for its client. As check.
    virtual void evict() = 0;
  };
  // Effect: ends the connection that gRPC knows by this name.
  using EndConnection = std::function<void(const std::string& connection)>;

  OpenCalls(OpenCallBounds bounds, EndConnection end_connection);
  ~OpenCalls();

  // False, and no effect, where there are too many. REQUIRES: remove() before the call's end.
  bool add(Call& call, const std::string& peer, Kind kind);
  void remove(Call& call);  // does nothing for one that was not added

  // Effect: counts bytes that are to be sent. False, and no effect, where too many wait.
  bool reserve_bytes(size_t num_bytes);
  void release_bytes(size_t num_bytes) { pending_bytes_ -= num_bytes; }

  // Effect: counts a call, whether it will be let in or not, until its end; above max_calls_per_connection its
  // connection is ended soon.
  void begin_call(const std::string& connection);
  void end_call(const std::string& connection);
  // Effect: counts a call that its client reset; above max_resets its connection is ended soon.
  void count_reset(const std::string& connection);

  // Effect: aborts every call, and refuses those that come after.
  void abort_all(const Error& error);

 private:
  struct Entry {
    std::string peer;
    Kind kind;
    std::list<Call*>::iterator place;  // in health_calls_, of a call that has one
    bool has_place = false;
  };
  struct Connection {
    int num_calls = 0;
    int max_calls = 0;  // it is ended above these; raised each time, for what was read by then still comes
    int num_resets = 0;
    TimePoint first_reset = TimePoint::max();
  };
  struct Counts {
    int all = 0;
    std::unordered_map<std::string, int> of_peer;
  };

  Counts& counts_of(Kind kind) SF_REQUIRES(mutex_) { return counts_[static_cast<size_t>(kind)]; }
  void evict_oldest_health_call() SF_REQUIRES(mutex_);
  void check_all(TimePoint now) SF_REQUIRES(mutex_);
  Connection& connection_of(const std::string& name) SF_REQUIRES(mutex_);
  void end_soon(const std::string& name, Connection& connection) SF_REQUIRES(mutex_);
  void run();

  const OpenCallBounds bounds_;
  const EndConnection end_connection_;
  std::atomic<size_t> pending_bytes_{0};
  Mutex mutex_;
  CondVar wake_;
  std::unordered_map<Call*, Entry> calls_ SF_GUARDED_BY(mutex_);
  std::array<Counts, 2> counts_ SF_GUARDED_BY(mutex_);
  std::list<Call*> health_calls_ SF_GUARDED_BY(mutex_);  // the oldest first; without those evicted
  std::unordered_map<std::string, Connection> connections_ SF_GUARDED_BY(mutex_);
  std::vector<std::string> to_end_ SF_GUARDED_BY(mutex_);
  bool closed_ SF_GUARDED_BY(mutex_) = false;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
