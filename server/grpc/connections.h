// The connections under the calls: gRPC has no way to end one of them.
//
//   end_connection("ipv4:10.0.0.7:4321", 8001);
//
// Thread-safe.
#pragma once

#include <string>

namespace sf::server {

// Effect: aborts this process's connection on the local port to `peer`, as gRPC names it; gRPC notices and ends its
// calls. Unread data in the receive buffer is discarded, also of connections to the port that their peers have reset:
// getpeername() no longer names those. Looks at every file descriptor of the process.
void end_connection(const std::string& peer, int local_port);

}  // namespace sf::server
