// The time that a client has for the head of a request: without it one that sends a header byte every few seconds holds
// a thread for as long as it likes (slowloris), because cpp-httplib's read timeout counts between two reads.
//
//   HeadDeadline heads(10);
//   heads.start(port);                                 // the port that is listened on
//   heads.arrived(request); ... heads.answered(request);
//   heads.stop();
//
// The library shows no connection before its first head is whole. So a thread looks through this process's sockets now
// and then, and shuts down those of the port that have had no whole head for too long, counted from when they were
// first seen or last answered. Of one that waits for a thread something is left to read: it is not the one that is
// slow.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace httplib {
struct Request;
}

namespace sf::server {

// start() and stop(): one thread. The others: any.
class HeadDeadline {
 public:
  explicit HeadDeadline(int limit_s) : limit_(limit_s) {}
  ~HeadDeadline() { stop(); }

  void start(int port);
  void stop();  // idempotent
  // A request's head is whole: its body and its answer have deadlines of their own.
  void arrived(const httplib::Request& request);
  // Its answer went out: the next head's time begins.
  void answered(const httplib::Request& request);

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    uint64_t socket = 0;  // its inode, which tells it from a later one of the same peer; 0 = not seen yet
    bool answering = false;
    Clock::time_point since;
    uint64_t seen = 0;  // number of the last look
  };

  // A connection of the port, as the kernel knows it.
  struct Socket {
    int fd;
    uint64_t inode;
    std::string key;  // of connections_
  };

  void run();
  std::vector<Socket> find_sockets() const;
  void look(const std::vector<Socket>& sockets) SF_REQUIRES(mutex_);
  void judge(const Socket& socket, Clock::time_point now) SF_REQUIRES(mutex_);

  const std::chrono::seconds limit_;
  int port_ = 0;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Connection> connections_ SF_GUARDED_BY(mutex_);  // by the peer's address and port
  uint64_t num_looks_ SF_GUARDED_BY(mutex_) = 0;
  bool stopped_ SF_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sf::server
