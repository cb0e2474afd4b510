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
  // Reads at most `size` bytes; empty once the peer has closed.
  std::string read_some(size_t size);
  // Says that nothing more will be sent; what the peer sends is still read.
  void end_sending();
  // Makes the kernel keep few bytes for us, so that a peer notices if we do not read. REQUIRES: nothing was read yet.
  void set_receive_buffer(int num_bytes);
  // Reads until the peer closes.
  std::string read_all() { return read_until(""); }
  void close();

 private:
  int socket_;
};

}  // namespace sf::server
