// Health and /metrics: the same routes on the public and on the management port.
#pragma once

#include "server/http/listener.h"

namespace sf::server {

// /v2/health/live and /v2/health/ready (200 or 503), their aliases /healthz and /readyz, and /metrics (Prometheus
// text). REQUIRES: before listener.start(); `service` outlives the listener.
void register_health_routes(Listener& listener, Service& service);

}  // namespace sf::server
