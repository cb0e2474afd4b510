#include "tests/support/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace sf::server {

RawConnection::RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;  // what is sent in two pieces goes out in two
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

RawConnection::~RawConnection() { close(); }

bool RawConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawConnection::read_until(std::string_view mark) {
  std::string text;
  char block[4096];
  while (mark.empty() || text.find(mark) == std::string::npos) {
    const ssize_t size = recv(socket_, block, sizeof(block), 0);
    if (size <= 0) break;
    text.append(block, static_cast<size_t>(size));
  }
  return text;
}

std::string RawConnection::read_some(size_t size) {
  std::string text(size, '\0');
  const ssize_t got = recv(socket_, text.data(), size, 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

void RawConnection::end_sending() { shutdown(socket_, SHUT_WR); }

void RawConnection::set_receive_buffer(int num_bytes) {
  setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &num_bytes, sizeof num_bytes);
}

void RawConnection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace sf::server
