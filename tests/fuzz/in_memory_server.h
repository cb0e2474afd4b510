// One HTTP connection that is not a socket: the request lies in memory, and so does what is answered.
//
//   InMemoryServer server;                                   // an httplib::Server with routes of one's own
//   const std::string response = server.serve("POST /v1/answer HTTP/1.1\r\n...");
#pragma once

#include <httplib.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace sf::server {

class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view request) : request_(request) {}
  const std::string& response() const { return response_; }

  bool is_readable() const override { return !request_.empty(); }
  bool wait_readable() const override { return !request_.empty(); }
  bool wait_writable() const override { return true; }
  ssize_t read(char* out, size_t size) override {
    size = std::min(size, request_.size());
    if (size > 0) std::memcpy(out, request_.data(), size);
    request_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* bytes, size_t size) override {
    response_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }
  time_t duration() const override { return 0; }

 private:
  std::string_view request_;
  std::string response_;
};

class InMemoryServer : public httplib::Server {
 public:
  // The first request's answer, whole.
  std::string serve(std::string_view request) {
    MemoryStream stream(request);
    bool closed = false;
    process_request(stream, "127.0.0.1", 1, "127.0.0.1", 2, /*close_connection=*/true, closed, nullptr);
    return stream.response();
  }
};

}  // namespace sf::server
