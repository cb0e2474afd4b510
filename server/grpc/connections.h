// The connections under the calls: gRPC has no way to end one of them.
//
//   if (shut_down_connection("ipv4:10.0.0.7:4321", 8001)) ...
//
// Thread-safe.
#pragma once

#include <string>

namespace sf::server {

// Effect: no byte goes over this process's connection to `peer`, as gRPC names it, any more; gRPC notices, ends its
// calls and closes it. False if there is none on the local port. Looks at every file that the process has open.
bool shut_down_connection(const std::string& peer, int local_port);

}  // namespace sf::server
