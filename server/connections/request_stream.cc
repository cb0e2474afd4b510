#include "server/connections/request_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "engine/base/error.h"

namespace sf::server {
namespace {

// Reads this large go past the inbox.
constexpr size_t kDirectReadBytes = 4096;
constexpr size_t kMaxStandInTarget = 1024;

int to_poll_timeout(std::chrono::steady_clock::duration limit) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000));
}

// What a refused head is answered as.
std::string stand_in(const RequestHead& head) {
  const bool has_target = head.target.starts_with('/') && head.target.size() < kMaxStandInTarget;
  return concat(head.method == "HEAD" ? "HEAD " : "GET ", has_target ? head.target : "/",
                " HTTP/1.1\r\nHost: refused\r\nConnection: close\r\nX-Request-Id: ", head.request_id, "\r\n\r\n");
}

}  // namespace

RequestStream::RequestStream(Connection& connection, const StreamOptions& options, int stop_fd)
    : connection_(connection),
      options_(options),
      stop_fd_(stop_fd),
      body_rate_(options.rates.window, options.rates.bytes_per_s) {}

void RequestStream::begin(const HeadParser& parser) {
  const RequestHead& head = parser.head();
  // A client of HTTP/1.0 knows no interim answer.
  probe_ = head.is_http_1_0 ? "" : "HTTP/1.1 100 Continue\r\n\r\n";
  if (!head.fault.empty()) {
    connection_.take(connection_.inbox().size());
    connection_.put_back(stand_in(head));
  } else if (const std::optional<std::string> text = parser.rewritten(connection_.inbox())) {
    connection_.take(head.num_bytes);
    connection_.put_back(*text);
  }
}

RequestStream::Waited RequestStream::wait(short events, Clock::duration limit) const {
  const Clock::time_point end = Clock::now() + limit;
  std::array<pollfd, 2> files = {{{connection_.fd(), events, 0}, {stop_fd_, POLLIN, 0}}};
  while (true) {
    const int ready = ::poll(files.data(), files.size(), to_poll_timeout(end - Clock::now()));
    if (ready < 0 && errno == EINTR) continue;
    if (files[0].revents != 0) return Waited::kReady;
    return files[1].revents != 0 ? Waited::kPortClosed : Waited::kTimeOver;
  }
}

bool RequestStream::wait_for_body() {
  if (options_.never_waits) return false;
  const Clock::time_point begin = Clock::now(), end = begin + options_.read_timeout;
  while (true) {
    const Clock::time_point now = Clock::now();
    const Waited outcome = wait(connection_.wanted_events(), std::min(end - now, body_rate_.left(waited_)));
    waited_ += Clock::now() - now;
    if (outcome == Waited::kReady) return true;
    if (outcome == Waited::kPortClosed || Clock::now() >= end || body_rate_.is_too_slow(waited_)) return false;
  }
}

ssize_t RequestStream::read(char* data, size_t size) {
  while (!failed_ && !reading_failed_) {
    const std::string_view here = connection_.inbox();
    if (!here.empty()) {
      const size_t num_bytes = here.copy(data, size);
      connection_.take(num_bytes);
      return static_cast<ssize_t>(num_bytes);
    }
    size_t num_bytes = 0;
    const Io outcome =
        size >= kDirectReadBytes ? connection_.receive_into(data, size, num_bytes) : connection_.receive();
    body_rate_.count(num_bytes + connection_.inbox().size());
    if (body_rate_.is_too_slow(waited_)) reading_failed_ = true;
    if (num_bytes > 0) return static_cast<ssize_t>(num_bytes);
    if (outcome == Io::kEnd) return 0;
    if (outcome == Io::kFailed || (outcome == Io::kWait && !wait_for_body())) reading_failed_ = true;
  }
  error_ = httplib::Error::Read;
  return -1;
}

const char* RequestStream::buffered_data(size_t& size) const {
  const std::string_view here = connection_.inbox();
  size = here.size();
  return here.empty() ? nullptr : here.data();
}

bool RequestStream::is_readable() const { return !connection_.inbox().empty() || connection_.has_hidden_bytes(); }

bool RequestStream::wait_readable() const {
  return is_readable() || wait(POLLIN, options_.read_timeout) == Waited::kReady;
}

bool RequestStream::wait_for_reader() const {
  if (options_.never_waits || connection_.reads_too_slowly(Clock::now())) return false;
  constexpr std::chrono::milliseconds kLookAgain{250};
  return wait(connection_.wanted_events(), kLookAgain) != Waited::kPortClosed;
}

bool RequestStream::send_all(std::string_view bytes) const {
  while (true) {
    // Of what is already kept for others this one's share may be nothing.
    const bool crowded = connection_.num_unsent_of_all() > options_.max_kept_of_all;
    const size_t max_kept = crowded ? 0 : options_.never_waits ? SIZE_MAX : options_.max_kept;
    size_t num_sent = 0;
    const Io outcome = connection_.send(bytes, max_kept, num_sent);
    bytes.remove_prefix(num_sent);
    if (outcome == Io::kFailed) return false;
    if (outcome == Io::kDone) return !connection_.reads_too_slowly(Clock::now());
    if (!wait_for_reader()) return false;
  }
}

ssize_t RequestStream::write(const char* data, size_t size) {
  if (!failed_ && send_all({data, size})) return static_cast<ssize_t>(size);
  failed_ = true;
  error_ = httplib::Error::Write;
  return -1;
}

bool RequestStream::wait_writable() const { return !failed_; }

bool RequestStream::send_probe() const {
  probed_ = true;
  return !probe_.empty() && send_all(probe_);
}

bool RequestStream::is_peer_alive() const {
  if (failed_) return false;
  pollfd file{connection_.fd(), POLLRDHUP, 0};
  if (::poll(&file, 1, 0) < 0) return errno == EINTR;
  const bool gone = (file.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
  const bool ended = (file.revents & POLLRDHUP) != 0;
  if (!gone && ended && !probed_ && !send_probe()) failed_ = true;
  if (!gone && !connection_.is_flushed() && !send_all({})) failed_ = true;
  if (gone) failed_ = true;
  return !failed_;
}

void RequestStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = connection_.peer().ip;
  port = connection_.peer().port;
}

void RequestStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace sf::server
