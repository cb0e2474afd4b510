#include "server/http/head_deadline.h"

#include <dirent.h>
#include <fcntl.h>
#include <httplib.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

namespace sf::server {
namespace {

struct Endpoint {
  std::string address;
  int port = 0;
};

std::string key_of(const std::string& address, int port) { return address + " " + std::to_string(port); }

using ReadName = int (*)(int, sockaddr*, socklen_t*);

// Nothing for what is no connection over IP.
std::optional<Endpoint> endpoint_of(int fd, ReadName read_name) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (read_name(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return std::nullopt;
  if (name.ss_family != AF_INET && name.ss_family != AF_INET6) return std::nullopt;
  // As the library writes it into a request, so that both name a connection alike.
  char address[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&name), length, address, sizeof address, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return std::nullopt;
  }
  return Endpoint{address, std::atoi(port)};
}

uint64_t inode_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

std::vector<int> open_files() {
  std::vector<int> files;
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return files;
  while (const dirent* entry = readdir(directory)) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0') files.push_back(static_cast<int>(fd));
  }
  closedir(directory);
  return files;
}

bool is_listening(int fd) {
  int listens = 0;
  socklen_t length = sizeof listens;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens != 0;
}

bool has_unread_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

// The number may be another connection's by now: only what is held cannot change.
void shut_down(int fd, uint64_t inode) {
  const int held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (held < 0) return;
  if (inode_of(held) == inode) ::shutdown(held, SHUT_RDWR);
  ::close(held);
}

}  // namespace

void HeadDeadline::start(int port) {
  port_ = port;
  thread_ = std::thread([this] { run(); });
}

void HeadDeadline::stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void HeadDeadline::arrived(const httplib::Request& request) {
  MutexLock lock(mutex_);
  Connection& connection = connections_[key_of(request.remote_addr, request.remote_port)];
  connection.socket = 0;  // an earlier one of this peer may not have been seen to go
  connection.answering = true;
  connection.seen = num_looks_;
}

void HeadDeadline::answered(const httplib::Request& request) {
  MutexLock lock(mutex_);
  Connection& connection = connections_[key_of(request.remote_addr, request.remote_port)];
  connection.answering = false;
  connection.since = Clock::now();
  connection.seen = num_looks_;
}

void HeadDeadline::run() {
  const auto interval = std::min(std::chrono::milliseconds(1000), std::chrono::milliseconds(limit_) / 4);
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto next = Clock::now() + interval;
      while (!stopped_ && changed_.wait_until(mutex_, next)) {
      }
      if (stopped_) return;
    }
    const std::vector<Socket> sockets = find_sockets();  // without the lock: requests wait for it
    MutexLock lock(mutex_);
    look(sockets);
  }
}

std::vector<HeadDeadline::Socket> HeadDeadline::find_sockets() const {
  std::vector<Socket> sockets;
  int num_listening = 0;
  for (const int fd : open_files()) {
    const uint64_t inode = inode_of(fd);
    if (inode == 0) continue;
    const std::optional<Endpoint> local = endpoint_of(fd, ::getsockname);
    if (!local || local->port != port_) continue;
    if (is_listening(fd)) ++num_listening;
    const std::optional<Endpoint> peer = endpoint_of(fd, ::getpeername);  // none of one that listens, or is gone
    if (peer) sockets.push_back({fd, inode, key_of(peer->address, peer->port)});
  }
  // One port on two addresses: whose a connection is, and so whether it is answered, cannot be told.
  if (num_listening > 1) sockets.clear();
  return sockets;
}

void HeadDeadline::look(const std::vector<Socket>& sockets) {
  const uint64_t this_look = ++num_looks_;
  const Clock::time_point now = Clock::now();
  for (const Socket& socket : sockets) judge(socket, now);
  std::erase_if(connections_, [&](const auto& entry) { return entry.second.seen + 1 < this_look; });
}

void HeadDeadline::judge(const Socket& socket, Clock::time_point now) {
  const auto [found, is_new] = connections_.try_emplace(socket.key);
  Connection& connection = found->second;
  connection.seen = num_looks_;
  if (is_new || (connection.socket != 0 && connection.socket != socket.inode)) {
    connection = {socket.inode, false, now, num_looks_};
  }
  connection.socket = socket.inode;
  if (connection.answering || now - connection.since <= limit_ || has_unread_bytes(socket.fd)) return;
  shut_down(socket.fd, socket.inode);
}

}  // namespace sf::server
