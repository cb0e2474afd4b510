// The first line of every call: who is it, and may it do that?
//
//   const std::string tenant = admit_call(options.keys, context, Access::kInfer);
//
// gRPC's synchronous server has no place before a handler where a call can be refused, so each handler begins with
// this; a test walks every method without a key.
#pragma once

#include <grpcpp/server_context.h>

#include <string>

#include "server/guard/api_keys.h"

namespace sf::server {

// The name of the key in the metadata `authorization` or `x-api-key`; empty where no keys are asked for (`keys` is
// null). Errors: those of KeyRing::admit.
inline std::string admit_call(KeyRing* keys, const grpc::ServerContextBase& context, Access access) {
  if (keys == nullptr) return "";
  const auto sent = [&](const char* name) {
    const auto it = context.client_metadata().find(name);
    return it == context.client_metadata().end() ? std::string_view()
                                                 : std::string_view(it->second.data(), it->second.size());
  };
  return keys->admit(join_credentials(sent("authorization"), sent("x-api-key")), access);
}

}  // namespace sf::server
