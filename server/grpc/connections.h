// The connections under the calls: gRPC has no way to end one of them.
//
//   end_connection("ipv4:10.0.0.7:4321", 8001);
//
// Thread-safe.
#pragma once

#include <string>

namespace sf::server {

// Effect: aborts this process's connection on the local port to `peer`, as gRPC names it; gRPC notices and ends its
// calls. What the peer has sent and nobody has read is lost, also of connections to the port whose peers have reset
// them: such a one has no name left to tell it by. Looks at every file that the process has open.
void end_connection(const std::string& peer, int local_port);

}  // namespace sf::server
