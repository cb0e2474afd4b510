#include "server/grpc/connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

namespace sf::server {
namespace {

struct Endpoint {
  std::string name;  // as gRPC writes it
  int port = 0;
};

Endpoint endpoint_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof(v4));
    endpoint.port = ntohs(v4.sin_port);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    endpoint.name = std::string("ipv4:") + text.data();
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    endpoint.port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
      endpoint.name = std::string("ipv4:") + text.data();
    } else {
      inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
      endpoint.name = std::string("ipv6:%5B") + text.data() + "%5D";
    }
  }
  endpoint.name.append(":").append(std::to_string(endpoint.port));
  return endpoint;
}

template <typename GetName>
std::optional<Endpoint> endpoint_of(int socket, const GetName& get_name) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (get_name(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  return endpoint_of(address);
}

// Aborts a TCP connection: the peer gets a RST, and unread data in the receive buffer is discarded (after shutdown()
// gRPC would still read it, megabytes of it).
bool abort_connection(int socket) {
  sockaddr unspecified{};
  unspecified.sa_family = AF_UNSPEC;
  return connect(socket, &unspecified, sizeof(unspecified)) == 0;
}

bool is_listening(int socket) {
  int listens = 0;
  socklen_t size = sizeof(listens);
  return getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

}  // namespace

void end_connection(const std::string& peer, int local_port) {
  const std::unique_ptr<DIR, int (*)(DIR*)> files(opendir("/proc/self/fd"), closedir);
  if (!files) return;
  while (const dirent* file = readdir(files.get())) {
    if (file->d_name[0] == '.') continue;
    const int socket = std::atoi(file->d_name);
    const std::optional<Endpoint> remote = endpoint_of(socket, getpeername);
    const bool has_left = !remote && errno == ENOTCONN;
    if (!has_left && (!remote || remote->name != peer)) continue;
    const std::optional<Endpoint> local = endpoint_of(socket, getsockname);
    if (local && local->port == local_port && !is_listening(socket)) abort_connection(socket);
  }
}

}  // namespace sf::server
