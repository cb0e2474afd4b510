// A constant load of streams whose every event is looked at: clients that ask a question each `interval`, over the
// route that names the version in every event (/v1/chat/completions).
//
//   MeasuredLoad load(server.http_port(), {.clients = 4});
//   ... reload ...
//   std::vector<StreamRecord> streams = load.take();   // that ended since the last take()
//   load.stop();
//
// Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sf::test {

struct StreamRecord {
  std::string question, text;
  std::string failure;  // what is wrong with it: a status, an event out of place, no end; empty where all is well
  std::set<int64_t> versions;
  int num_ends = 0;  // events that end an answer
  double ttft_s = 0;
};

// p in 0..1 of the times to the first text; 0 for none.
double ttft_quantile(std::vector<StreamRecord> streams, double p);

struct MeasuredLoadOptions {
  int clients = 4;
  double interval_s = 0.08;  // between two questions of one client; a slow answer delays the next
};

class MeasuredLoad {
 public:
  // REQUIRES: the server outlives it.
  MeasuredLoad(int http_port, const MeasuredLoadOptions& options);
  ~MeasuredLoad() { stop(); }
  // Effect: every client finishes what it has asked. Idempotent.
  void stop();
  int num_ended() const { return num_ended_; }
  std::vector<StreamRecord> take();

 private:
  void work(int number);

  const int http_port_;
  const MeasuredLoadOptions options_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> num_ended_{0};
  std::mutex mutex_;
  std::vector<StreamRecord> ended_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace sf::test
