// Health and /metrics: the same routes on the public and on the management port.
//
//   register_health_routes(listener, service);
//
// One thread only: routes are added before listener.start(). The handlers are thread-safe.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

// 200 or 503, and no key is asked for. Each path of a list says the same.
inline constexpr const char* kLivePaths[] = {"/v2/health/live", "/healthz"};
inline constexpr const char* kReadyPaths[] = {"/v2/health/ready", "/readyz", "/health", "/v1/health", "/ping"};

// Those, and /metrics (Prometheus text). REQUIRES: before listener.start(); `service` outlives the listener.
void register_health_routes(Listener& listener, Service& service);

}  // namespace sf::server
