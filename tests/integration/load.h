// Threads that ask a server without a pause until told to stop: over REST and gRPC, whole answers and streams by
// halves.
//
//   Load load(server, 8);
//   ... reload ...
//   load.stop();
//   EXPECT_EQ(load.failures(), Strings{});  EXPECT_EQ(load.switched_under_streams(), (std::set<int64_t>{2}));
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/live_server.h"

namespace sf::test {

class Load {
 public:
  // REQUIRES: `server` outlives it.
  Load(const LiveServer& server, int num_clients);
  ~Load() { stop(); }
  // Effect: every client finishes what it has asked. Idempotent.
  void stop();

  int num_answered() const { return num_answered_; }
  // What clients were told, and answers that broke the contract: text after the end, an answer without a version.
  std::vector<std::string> failures() const;
  // Versions that answered.
  std::set<int64_t> versions() const;
  // Versions that the server named as the one it serves while a stream of an older one went on sending text.
  std::set<int64_t> switched_under_streams() const;

 private:
  void work(int number);
  void watch();
  void ask(client::Client& asker, uint64_t seed, bool streamed);

  const LiveServer& server_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> num_answered_{0};
  std::atomic<int64_t> served_{0};  // as the server said last
  mutable std::mutex mutex_;        // guards the three below
  std::vector<std::string> failures_;
  std::set<int64_t> versions_, switched_under_streams_;
  std::vector<std::thread> threads_;
};

}  // namespace sf::test
