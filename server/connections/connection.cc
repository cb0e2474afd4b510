#include "server/connections/connection.h"

#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sf::server {
namespace {

constexpr size_t kBlockBytes = 16 << 10;
constexpr size_t kDiscardBlockBytes = 64 << 10;

std::string group_of(const sockaddr_storage& name) {
  if (name.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(name).sin6_addr;
    const char* bytes = reinterpret_cast<const char*>(&address);
    if (IN6_IS_ADDR_V4MAPPED(&address)) return std::string(bytes + 12, 4);
    if (IN6_IS_ADDR_LOOPBACK(&address)) return std::string(bytes, 16);
    return std::string(bytes, 8);
  }
  return std::string(reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in&>(name).sin_addr), 4);
}

// That the peer has not acknowledged.
size_t bytes_in_kernel(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

bool is_interrupted_or_waits() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

PeerAddress peer_address(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return {};
  char address[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&name), length, address, sizeof address, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  return {address, std::atoi(port), group_of(name)};
}

Connection::Connection(int fd, PeerAddress peer, std::shared_ptr<SSL> ssl, ConnectionRates rates,
                       std::atomic<size_t>& num_unsent)
    : fd_(fd), peer_(std::move(peer)), ssl_(std::move(ssl)), num_unsent_(num_unsent), rates_(rates) {
  if (ssl_) SSL_set_fd(ssl_.get(), fd_);
}

Connection::~Connection() {
  num_unsent_ -= unsent().size();
  ::close(fd_);
}

Io Connection::tls_outcome(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wanted_events_ = POLLIN;
      return Io::kWait;
    case SSL_ERROR_WANT_WRITE:
      wanted_events_ = POLLOUT;
      return Io::kWait;
    case SSL_ERROR_ZERO_RETURN:
      return Io::kEnd;
    default:
      ERR_clear_error();
      failed_ = true;
      return Io::kFailed;
  }
}

Io Connection::handshake() {
  ERR_clear_error();
  const int result = SSL_accept(ssl_.get());
  if (result == 1) return Io::kDone;
  const Io outcome = tls_outcome(result);
  return outcome == Io::kWait ? outcome : Io::kFailed;
}

Io Connection::read_once(char* data, size_t size, size_t& num_bytes) {
  num_bytes = 0;
  if (failed_) return Io::kFailed;
  if (ended_) return Io::kEnd;
  Io outcome = Io::kDone;
  if (ssl_) {
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), data, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (result > 0) {
      num_bytes = static_cast<size_t>(result);
    } else {
      outcome = tls_outcome(result);
    }
  } else {
    const ssize_t result = ::recv(fd_, data, size, 0);
    if (result > 0) num_bytes = static_cast<size_t>(result);
    if (result == 0) outcome = Io::kEnd;
    if (result < 0) outcome = is_interrupted_or_waits() ? Io::kWait : Io::kFailed;
    wanted_events_ = POLLIN;
  }
  ended_ = outcome == Io::kEnd;
  failed_ = outcome == Io::kFailed;
  return outcome;
}

Io Connection::receive() {
  std::array<char, kBlockBytes> block;
  size_t num_bytes = 0;
  const Io outcome = read_once(block.data(), block.size(), num_bytes);
  if (taken_ > 0 && num_bytes > 0) {
    inbox_.erase(0, taken_);
    taken_ = 0;
  }
  inbox_.append(block.data(), num_bytes);
  return outcome;
}

Io Connection::receive_into(char* data, size_t size, size_t& num_bytes) { return read_once(data, size, num_bytes); }

void Connection::take(size_t num_bytes) {
  taken_ += num_bytes;
  if (taken_ < inbox_.size()) return;
  inbox_.clear();
  taken_ = 0;
}

void Connection::put_back(std::string text) {
  text += inbox();
  inbox_ = std::move(text);
  taken_ = 0;
}

bool Connection::has_hidden_bytes() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }

Io Connection::write_once(std::string_view bytes, size_t& num_bytes) {
  num_bytes = 0;
  if (failed_) return Io::kFailed;
  if (bytes.empty()) return Io::kDone;
  if (ssl_) {
    ERR_clear_error();
    const int result = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX)));
    if (result > 0) {
      count_sent(num_bytes = static_cast<size_t>(result));
      return Io::kDone;
    }
    const Io outcome = tls_outcome(result);
    if (outcome != Io::kWait) failed_ = true;
    return outcome == Io::kWait ? outcome : Io::kFailed;
  }
  const ssize_t result = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  wanted_events_ = POLLOUT;
  if (result >= 0) count_sent(num_bytes = static_cast<size_t>(result));
  if (result >= 0) return Io::kDone;
  if (is_interrupted_or_waits()) return Io::kWait;
  failed_ = true;
  return Io::kFailed;
}

void Connection::set_blocked(bool blocked) {
  if (!blocked) blocked_.reset();
  if (!blocked || blocked_) return;
  blocked_.emplace(
      Blocked{std::chrono::steady_clock::now(), MinimumRate(rates_.window, rates_.bytes_per_s), bytes_in_kernel(fd_)});
}

void Connection::keep(std::string_view bytes) {
  outbox_ += bytes;
  num_unsent_ += bytes.size();
}

void Connection::drop_sent(size_t num_bytes) {
  num_unsent_ -= num_bytes;
  sent_ += num_bytes;
  if (sent_ < outbox_.size() / 2) return;
  outbox_.erase(0, sent_);
  sent_ = 0;
  if (outbox_.empty()) outbox_.shrink_to_fit();
}

Io Connection::flush() {
  const Io outcome = send_kept();
  if (outcome == Io::kDone) set_blocked(false);
  return outcome;
}

Io Connection::send_kept() {
  while (!outbox_.empty()) {
    size_t num_bytes = 0;
    const Io outcome = write_once(unsent(), num_bytes);
    if (outcome == Io::kWait) set_blocked(true);
    if (outcome != Io::kDone) return outcome;
    drop_sent(num_bytes);
  }
  return Io::kDone;
}

Io Connection::send(std::string_view bytes, size_t max_kept, size_t& num_sent) {
  num_sent = 0;
  Io outcome = send_kept();
  while (outcome == Io::kDone && num_sent < bytes.size()) {
    size_t num_bytes = 0;
    outcome = write_once(bytes.substr(num_sent), num_bytes);
    num_sent += num_bytes;
  }
  if (outcome == Io::kDone) set_blocked(false);
  if (outcome != Io::kWait) return outcome;
  set_blocked(true);
  const std::string_view rest = bytes.substr(num_sent);
  if (unsent().size() + rest.size() > max_kept) {
    // What TLS has begun to send has to be sent again as it was: keep that much, so that the caller need not.
    if (!outbox_.empty() || !ssl_) return Io::kWait;
    const std::string_view record = rest.substr(0, kBlockBytes);
    keep(record);
    num_sent += record.size();
    return Io::kWait;
  }
  keep(rest);
  num_sent = bytes.size();
  return Io::kDone;
}

void Connection::count_sent(size_t num_bytes) {
  if (blocked_) blocked_->num_queued += num_bytes;
}

// The kernel takes bytes in long strides: what counts is what has left it.
bool Connection::reads_too_slowly(std::chrono::steady_clock::time_point now) {
  if (!blocked_) return false;
  const size_t left = std::min(bytes_in_kernel(fd_), blocked_->num_queued);
  blocked_->rate.count(blocked_->num_queued - left);
  blocked_->num_queued = left;
  return blocked_->rate.is_too_slow(now - blocked_->since);
}

void Connection::shut_writing() {
  if (ssl_ && !failed_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

Io Connection::discard(size_t& num_bytes) {
  static thread_local std::array<char, kDiscardBlockBytes> block;
  const ssize_t result = ::recv(fd_, block.data(), block.size(), 0);
  num_bytes = result > 0 ? static_cast<size_t>(result) : 0;
  wanted_events_ = POLLIN;
  if (result > 0) return Io::kDone;
  if (result == 0) return Io::kEnd;
  return is_interrupted_or_waits() ? Io::kWait : Io::kFailed;
}

}  // namespace sf::server
