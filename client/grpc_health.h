// grpc.health.v1.Health/Check without its generated code: its two messages are one field each.
// Thread-safe: a free function.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

namespace sf::client {

// Whether the server answers within `timeout_ms`: anything at all if not `ready`, SERVING if `ready`.
bool check_grpc_health(const std::shared_ptr<grpc::Channel>& channel, int timeout_ms, bool ready);

}  // namespace sf::client
