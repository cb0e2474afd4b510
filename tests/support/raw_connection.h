// A TCP connection that sends what no HTTP library would. One thread only.
#pragma once

#include <string>
#include <string_view>

namespace sf::server {

class RawConnection {
 public:
  // Connects to 127.0.0.1. Errors: std::runtime_error.
  explicit RawConnection(int port);
  ~RawConnection();  // close()
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // False once the peer takes no more.
  bool send(std::string_view bytes);
  // Reads until the text holds `mark`, the peer closes, or 10 s pass; returns all that was read.
  std::string read_until(std::string_view mark);
  // Reads until the peer closes.
  std::string read_all() { return read_until(""); }
  void close();

 private:
  int socket_;
};

}  // namespace sf::server
