// A connection as cpp-httplib reads and writes it while a worker serves one request: it begins with the bytes that were
// read already and waits where the socket has none, under a minimum rate in both directions.
//
//   RequestStream stream(*connection, {.read_timeout = 5s}, stop_fd);
//   stream.begin(parser);
//   char buffer[4096];
//   stream.read(buffer, sizeof buffer);  // the library's call
//   if (stream.failed()) hang_up();      // else what came behind the request is in connection->inbox()
//
// One thread at a time.
#pragma once

#include <httplib.h>

#include <chrono>
#include <string>

#include "server/connections/connection.h"
#include "server/connections/request_head.h"

namespace sf::server {

struct StreamOptions {
  std::chrono::milliseconds read_timeout{5000};  // between two reads
  ConnectionRates rates = {};                    // of a body, and of a reader that takes more than is kept for it
  size_t max_kept = 1 << 20;                     // bytes of an answer that the loop writes to a slow reader
  size_t max_kept_of_all = 64 << 20;  // the same of all connections; beyond it a slow reader holds its worker
  bool never_waits = false;           // a worker that may not be held by a client: all is kept, nothing is read
};

class RequestStream final : public httplib::Stream {
 public:
  // `stop_fd` becomes readable when the port is closed; then nothing is waited for. All three outlive this.
  RequestStream(Connection& connection, const StreamOptions& options, int stop_fd);

  // Effect: the next bytes read are those of `parser`'s head and what came behind it; of a refused head they are a
  // request without a body in its place, with its target and id where those can be told. REQUIRES: called first.
  void begin(const HeadParser& parser);
  // What may be written between two writes of an answer to find out whether a client that shut its side still reads.
  // Empty: nothing may.
  void set_probe(std::string bytes) { probe_ = std::move(bytes); }
  // Whether the client still waits for the answer. A client that shut its writing side may; one that closed the
  // connection looks the same until something was written to it, so then the probe is.
  bool is_peer_alive() const override;
  // Whether the connection is of no use for another request.
  bool failed() const { return failed_ || reading_failed_; }

  bool is_readable() const override;
  bool wait_readable() const override;
  bool wait_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  const char* buffered_data(size_t& size) const override;
  void consume_buffered(size_t size) override { connection_.take(size); }
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return connection_.fd(); }
  time_t duration() const override { return 0; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Waited { kReady, kTimeOver, kPortClosed };
  Waited wait(short events, Clock::duration limit) const;
  bool wait_for_body();
  bool wait_for_reader() const;
  bool send_all(std::string_view bytes) const;
  bool send_probe() const;

  Connection& connection_;
  const StreamOptions& options_;
  const int stop_fd_;
  MinimumRate body_rate_;
  Clock::duration waited_{};  // for bytes of the body
  // cpp-httplib asks through const functions.
  mutable std::string probe_;
  mutable bool probed_ = false;
  mutable bool failed_ = false;  // nothing more can be written
  bool reading_failed_ = false;  // nothing more can be read; its client may still get an answer
};

}  // namespace sf::server
