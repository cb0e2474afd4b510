// The model repository over HTTP: POST /v2/repository/index, and POST /v2/repository/models/{m}/load and unload, which
// are commands: on the management port, and on the public one only where keys are asked for.
//
//   register_repository_routes(listener, service, RepositoryRules::kWithKeys);
//
// One thread only: routes are added before listener.start(). The handlers are thread-safe.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

enum class RepositoryRules {
  kRefuseChanges,  // a port without keys: load and unload are 403
  kWithKeys,    // the listener's gate asks for scope admin; no Content-Type is as good as JSON, as Triton's clients do
  kManagement,  // Content-Type has to be JSON: no form of a foreign web page can send that
};

// REQUIRES: before listener.start(); `service` outlives the listener.
void register_repository_routes(Listener& listener, Service& service, RepositoryRules rules);

}  // namespace sf::server
