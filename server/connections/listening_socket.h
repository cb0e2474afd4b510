// A socket that listens, and how many files this process may have open.
//
// Thread-safe: free functions.
#pragma once

#include <cstddef>
#include <string>

namespace sf::server {

struct ListeningSocket {
  int fd = -1;  // does not block; the caller's to close
  int port = 0;
};

// Port 0 = any free one. Errors: Unavailable, naming host and port.
ListeningSocket listen_on(const std::string& host, int port);

// Effect: lets this process open as many files as the system allows it. Returns how many.
size_t raise_open_file_limit();
size_t open_file_limit();

}  // namespace sf::server
