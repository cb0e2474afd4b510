// One accepted socket, in the clear or with TLS: reads and writes that never wait, the bytes that were read and belong
// to what comes next, and those that the client has not taken yet.
//
//   std::atomic<size_t> num_unsent{0};  // of all connections
//   Connection connection(fd, address, ssl, ConnectionRates(), num_unsent);
//   if (connection.receive() == Io::kDone) parse(connection.inbox());
//   connection.send(text, max_kept, num_sent);  // what the client does not take at once is kept
//   if (!connection.is_flushed()) wait_until_writable(); connection.flush();
//
// One thread at a time: the loop's or a worker's.
#pragma once

#include <openssl/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/connections/minimum_rate.h"

namespace sf::server {

enum class Io {
  kDone,    // some bytes went
  kWait,    // poll for wanted_events() first
  kEnd,     // reading only: the client has shut its side
  kFailed,  // the connection is of no use any more
};

// Where a client is, as numbers.
struct PeerAddress {
  std::string ip;
  int port = 0;
  std::string group;  // what counts as one peer: the address, of IPv6 its first 64 bits
};
PeerAddress peer_address(int fd);

struct ConnectionRates {
  std::chrono::milliseconds window{5000};
  size_t bytes_per_s = 240;
};

class Connection {
 public:
  // Owns `fd`, which does not block, and `ssl`, which may be null. `num_unsent` counts the bytes that all connections
  // of the port keep for slow readers; it outlives this.
  Connection(int fd, PeerAddress peer, std::shared_ptr<SSL> ssl, ConnectionRates rates,
             std::atomic<size_t>& num_unsent);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  const PeerAddress& peer() const { return peer_; }
  bool has_tls() const { return ssl_ != nullptr; }
  // poll()'s, after an Io::kWait.
  short wanted_events() const { return wanted_events_; }

  // Effect: goes on with the TLS handshake. kDone once it is complete.
  Io handshake();

  // --- reading ---
  // Effect: appends what is there to inbox(), up to a block.
  Io receive();
  // Effect: the same into `data` directly. REQUIRES: inbox() is empty.
  Io receive_into(char* data, size_t size, size_t& num_bytes);
  std::string_view inbox() const { return std::string_view(inbox_).substr(taken_); }
  void take(size_t num_bytes);
  // Effect: `text` is put before what inbox() holds.
  void put_back(std::string text);
  bool ended() const { return ended_; }
  bool failed() const { return failed_; }
  // TLS: bytes that were read from the socket and not given out yet, which no poll() shows.
  bool has_hidden_bytes() const;

  // --- writing ---
  // Effect: sends what goes out at once and keeps the rest if it is at most `max_kept` bytes. kWait: more than that is
  // left, `num_sent` of `bytes` are sent or kept.
  Io send(std::string_view bytes, size_t max_kept, size_t& num_sent);
  Io flush();
  bool is_flushed() const { return outbox_.empty(); }
  // Whether the client can be sent no more and has taken less than the minimum rate for a window of time.
  bool reads_too_slowly(std::chrono::steady_clock::time_point now);
  size_t num_unsent_of_all() const { return num_unsent_.load(std::memory_order_relaxed); }

  // Effect: says that nothing more will be written, and the client's bytes are read and thrown away.
  void shut_writing();
  // Effect: throws away what has come, past TLS, at most a block. `num_bytes` says how much.
  Io discard(size_t& num_bytes);

 private:
  Io read_once(char* data, size_t size, size_t& num_bytes);
  Io write_once(std::string_view bytes, size_t& num_bytes);
  Io tls_outcome(int result);
  Io send_kept();
  void keep(std::string_view bytes);
  void drop_sent(size_t num_bytes);
  void count_sent(size_t num_bytes);
  // Effect: the client's rate is measured from now on, or no more.
  void set_blocked(bool blocked);
  std::string_view unsent() const { return std::string_view(outbox_).substr(sent_); }

  const int fd_;
  const PeerAddress peer_;
  const std::shared_ptr<SSL> ssl_;
  std::atomic<size_t>& num_unsent_;
  short wanted_events_ = 0;
  std::string inbox_;
  size_t taken_ = 0;  // of inbox_
  bool ended_ = false, failed_ = false;
  std::string outbox_;
  size_t sent_ = 0;  // of outbox_
  const ConnectionRates rates_;
  // Since when the client can be sent no more; not set: it can.
  struct Blocked {
    std::chrono::steady_clock::time_point since;
    MinimumRate rate;
    size_t num_queued = 0;  // what the kernel holds for it, as far as it was counted
  };
  std::optional<Blocked> blocked_;
};

}  // namespace sf::server
