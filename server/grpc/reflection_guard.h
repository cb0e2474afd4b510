// gRPC's reflection service asks for no key: a library that is linked registers it in every server of the process. With
// keys on, a call to it needs any of them, or it is cancelled before it is answered.
//
//   builder.experimental().SetInterceptorCreators(reflection_guard(keys));
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <vector>

#include "server/guard/api_keys.h"

namespace sf::server {

// REQUIRES: `keys` outlives the server.
std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> reflection_guard(KeyRing& keys);

}  // namespace sf::server
