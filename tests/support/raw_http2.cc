#include "tests/support/raw_http2.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace sf::server {
namespace {

// RFC 9113, section 6.
enum FrameType : uint8_t { kData, kHeaders, kPriority, kReset, kSettings, kPush, kPing, kGoAway };
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
constexpr size_t kFrameHeadBytes = 9;
constexpr size_t kMaxFrameBytes = 16384;

std::string big_endian(uint32_t value, int num_bytes) {
  std::string bytes;
  for (int i = num_bytes - 1; i >= 0; --i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

uint32_t read_big_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// HPACK's string without Huffman's code: RFC 7541, section 5.
std::string hpack_string(std::string_view text) {
  std::string bytes;
  size_t size = text.size();
  if (size < 127) {
    bytes.push_back(static_cast<char>(size));
  } else {
    bytes.push_back(127);
    for (size -= 127; size >= 128; size /= 128) bytes.push_back(static_cast<char>(size % 128 | 128));
    bytes.push_back(static_cast<char>(size));
  }
  return bytes.append(text);
}

std::string hpack_field(std::string_view name, std::string_view value) {
  return std::string(1, '\0') + hpack_string(name) + hpack_string(value);  // literal, not to be indexed
}

}  // namespace

RawHttp2::RawHttp2(int port, Options options)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), pieces_seed_(options.pieces_seed) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(socket_);
    throw std::runtime_error("cannot connect");
  }
  constexpr uint32_t kInitialWindowSize = 4;
  send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  send_frame(kSettings, 0, 0, big_endian(kInitialWindowSize, 2) + big_endian(options.stream_window, 4));
  read_until([&] { return has_settings_; });
}

RawHttp2::~RawHttp2() { ::close(socket_); }

uint32_t RawHttp2::open(const std::string& path, const Headers& more) {
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  std::string block = hpack_field(":method", "POST") + hpack_field(":scheme", "http") + hpack_field(":path", path) +
                      hpack_field(":authority", "x") + hpack_field("content-type", "application/grpc") +
                      hpack_field("te", "trailers");
  for (const auto& [name, value] : more) block += hpack_field(name, value);
  send_frame(kHeaders, kEndHeaders, stream, block);
  return stream;
}

bool RawHttp2::send_message(uint32_t stream, std::string_view message, bool compressed, bool end) {
  const std::string bytes = std::string(1, compressed ? '\1' : '\0') +
                            big_endian(static_cast<uint32_t>(message.size()), 4) + std::string(message);
  for (std::string_view rest = bytes; !rest.empty();) {
    const std::string_view part = rest.substr(0, kMaxFrameBytes);
    rest.remove_prefix(part.size());
    if (!send_frame(kData, rest.empty() && end ? kEndStream : 0, stream, part)) return false;
  }
  return true;
}

bool RawHttp2::reset(uint32_t stream) {
  constexpr uint32_t kCancel = 8;
  return send_frame(kReset, 0, stream, big_endian(kCancel, 4));
}

bool RawHttp2::ping() { return send_frame(kPing, 0, 0, "12345678"); }

size_t RawHttp2::num_ended() const {
  std::set<uint32_t> all = reset_;
  all.insert(ended_.begin(), ended_.end());
  return all.size();
}

std::string RawHttp2::data(uint32_t stream) const {
  const auto found = data_.find(stream);
  return found == data_.end() ? "" : found->second;
}

void RawHttp2::end_sending() { shutdown(socket_, SHUT_WR); }

bool RawHttp2::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t most = pieces_seed_ == 0 ? bytes.size() : random_() % 3 == 0 ? 3 : 200;
    const size_t size = std::min(bytes.size(), pieces_seed_ == 0 ? most : 1 + random_() % most);
    const ssize_t sent = ::send(socket_, bytes.data(), size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawHttp2::send_frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame = big_endian(static_cast<uint32_t>(payload.size()), 3);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  return send(frame.append(big_endian(stream, 4)).append(payload));
}

bool RawHttp2::read_until(const std::function<bool()>& done, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    if (closed_ || left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return done();
    char block[65536];
    const size_t most = pieces_seed_ == 0 ? sizeof(block) : 1 + random_() % 300;
    const ssize_t size = recv(socket_, block, most, 0);
    closed_ = size <= 0;
    if (closed_) continue;
    received_.append(block, static_cast<size_t>(size));
    take_frames();
  }
  return true;
}

void RawHttp2::take_frames() {
  size_t at = 0;
  while (received_.size() - at >= kFrameHeadBytes) {
    const std::string_view head(received_.data() + at, kFrameHeadBytes);
    const size_t size = read_big_endian(head.substr(0, 3));
    if (received_.size() - at < kFrameHeadBytes + size) break;
    take_frame(static_cast<uint8_t>(head[3]), static_cast<uint8_t>(head[4]), read_big_endian(head.substr(5)),
               std::string_view(received_).substr(at + kFrameHeadBytes, size));
    at += kFrameHeadBytes + size;
  }
  received_.erase(0, at);
}

void RawHttp2::take_frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  if (type == kSettings && (flags & kAck) == 0) {
    has_settings_ = true;
    send_frame(kSettings, kAck, 0, "");
  } else if (type == kPing) {
    if ((flags & kAck) != 0) {
      ++num_pongs_;
    } else {
      send_frame(kPing, kAck, 0, payload);
    }
  } else if (type == kReset) {
    reset_.insert(stream);
  } else if (type == kHeaders || type == kData) {
    if (type == kData) data_[stream] += payload;
    if ((flags & kEndStream) != 0) ended_.insert(stream);
  } else if (type == kGoAway) {
    goodbye_ = payload.substr(std::min<size_t>(payload.size(), 8));
  }
}

}  // namespace sf::server
