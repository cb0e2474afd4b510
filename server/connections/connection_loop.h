// The connections of one port: one thread accepts them, does their TLS handshakes, collects request heads and waits for
// idle, slow and departing clients, none of which holds a thread; a worker gets a connection only with a whole head.
//
//   ConnectionLoop loop(options, handler);
//   loop.start();              // bound: loop.port()
//   loop.drain();              // idle connections have a second left, others are closed after their next answer
//   loop.stop();
//
//     accepted -> handshake -> head -> worker -> flushing -> head ...          kept alive, pipelined requests in order
//                                             \-> flushing -> lingering -> closed
//
// What a client can hold is a file and at most a head of bytes, and of both there is a bound: a new connection takes
// the place of the one that has been idle or slow for longest.
//
// Thread-safe, except that start() and stop() belong to one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "server/auth/server_certificate.h"
#include "server/connections/connection.h"
#include "server/connections/request_head.h"
#include "server/connections/request_stream.h"

namespace sf::server {

struct LoopOptions {
  std::string host = "127.0.0.1";
  int port = 0;  // 0 = any free one
  int num_workers = 8;
  int num_reserved = 2;  // workers beside them, for urgent requests alone
  size_t max_connections = 1024;
  size_t max_connections_of_peer = 512;  // of one address, or of one IPv6 network of 64 bits
  size_t max_waiting = 256;              // whole heads without a worker; beyond it a request is refused at once
  std::chrono::milliseconds head_timeout{10'000};    // for a first head and the handshake before it, or any later head
  std::chrono::milliseconds idle_timeout{75'000};    // between an answer and the next head's first byte
  std::chrono::milliseconds linger_timeout{30'000};  // for what comes behind the last answer
  size_t max_discarded_bytes = 80 << 20;             // the same
  HeadLimits head = {};
  StreamOptions stream = {};
  std::shared_ptr<const ServerCertificate> certificate = {};  // null: no TLS
};

class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;
  // Whether a request is answered without waiting for its client or for other requests, so that it may have a reserved
  // worker. On the loop's thread: must not block.
  virtual bool is_urgent(const RequestHead& head) const = 0;
  // Effect: answers one request, or says why its head is refused. On a worker; must not throw. Returns whether the
  // connection may be kept.
  virtual bool serve(RequestStream& stream, const Connection& connection, const RequestHead& head) = 0;
  // The whole answer to a request that finds too many waiting; it says that it closes. On the loop's thread.
  virtual std::string busy_answer(const Connection& connection, const RequestHead& head) const = 0;
};

class ConnectionLoop {
 public:
  // REQUIRES: `handler` outlives this.
  ConnectionLoop(LoopOptions options, ConnectionHandler& handler);
  ~ConnectionLoop();  // stop()

  // Errors: Unavailable, naming host and port.
  void start();
  // Effect: accepts nothing more, waits for no client any longer, waits for the workers, closes everything. Idempotent.
  void stop();
  void drain();
  int port() const { return port_; }
  // Open connections.
  size_t num_connections() const { return num_connections_; }

 private:
  class Thread;
  const LoopOptions options_;
  ConnectionHandler& handler_;
  std::atomic<int> port_{0};
  std::atomic<size_t> num_connections_{0};
  std::unique_ptr<Thread> thread_;
};

}  // namespace sf::server
